"""What a promise is, and how its check says that it is broken or cannot be decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

About = Literal["mode", "counter"]
"""What a promise is checked on: a ``Mode`` of a channel, or the ``Variant`` of a counter."""


class BrokenPromise(AssertionError):
    """The backend does not keep the promise. The message is one line that says what happened instead."""


class Undecided(Exception):
    """The check proves nothing here. The message is one line that says why."""


@dataclass(frozen=True, slots=True)
class Promise:
    """A promise of a backend.

    ``name``      a short name, unique in the suite.
    ``sentence``  what is promised.
    ``about``     what it is checked on; ``applies(it)`` says whether it makes this promise.
    ``once``      check it on one mode or discipline of each backend only, because the others cannot differ.
    ``needs``     what the check does to the server: it ``uses`` it, or ``breaks`` one that no one else uses.
    ``check``     ``check(bench, it)``, with a ``Bench``, returns where the promise is kept. It raises
                  BrokenPromise or Undecided; every other exception also breaks the promise.
    """

    name: str
    sentence: str
    about: About
    applies: Callable[[Any], bool]
    check: Callable[[Any, Any], None]
    once: bool = False
    needs: Literal["uses", "breaks"] = "uses"


def require(holds: bool, otherwise: str) -> None:
    """Raise BrokenPromise with this line unless the condition holds."""
    if not holds:
        raise BrokenPromise(otherwise)


def require_same(found: Iterable[bytes], wanted: Iterable[bytes]) -> None:
    """Raise BrokenPromise where these are not the same messages, whatever their order."""
    got, owed = Counter(found), Counter(wanted)
    lost, extra = sum((owed - got).values()), sum((got - owed).values())
    parts = []
    if lost:
        parts.append(f"{lost} of {sum(owed.values())} messages did not arrive")
    if extra:
        parts.append(f"{extra} arrived that were repeated, damaged or never sent")
    require(not parts, " and ".join(parts))
