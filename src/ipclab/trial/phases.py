"""What the process of a trial and the lab say to each other, and the calls of a backend that the lab watches.

A trial runs in a process of its own (see ``inside``), so a backend that hangs in ``setup()`` or in
``teardown()`` can be ended, and whatever it does to its process reaches no other trial. The lab is told when
such a call begins and ends, and watches it meanwhile (see ``outside``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ipclab.errors import ChannelError
from ipclab.host.text import line_of
from ipclab.trial.record import TrialRecord


class Entered(msgspec.Struct, frozen=True):
    """A call of the backend begins that the lab watches: ``setup()``."""

    call: str


class Left(msgspec.Struct, frozen=True):
    """The call has come back, by a return or an exception."""

    call: str


class Asked(msgspec.Struct, frozen=True):
    """A method of the lab's broker is to be called in the lab's process."""

    number: int
    method: str
    args: tuple[Any, ...]
    settings: Mapping[str, Any]


class Answered(msgspec.Struct, frozen=True):
    """What the method returned or raised, and what is known of the broker since."""

    number: int
    value: Any
    error: Exception | None
    facts: Mapping[str, Any]


class Found(msgspec.Struct, frozen=True):
    """The record of the trial; a later one replaces it. What is still to be done is to tear down."""

    record: TrialRecord


class Refused(msgspec.Struct, frozen=True):
    """The trial cannot be carried out, or a defect of the lab ended it: what run_trial() raises."""

    error: Exception
    detail: str


class Effects(msgspec.Struct, frozen=True):
    """What the backend changed in its process or left behind, each in a line."""

    lines: list[str]


_tell: list[Callable[[object], object]] = []
"""How the process of a trial tells the lab; empty in any other process."""


def tell_to(tell: Callable[[object], object]) -> None:
    """Have this process tell the lab from now on."""
    _tell[:] = [tell]


def found(record: TrialRecord) -> None:
    """Tell the lab what has been found, so that nothing that follows can lose it."""
    for tell in _tell:
        tell(Found(record))


@contextmanager
def watched(call: str) -> Iterator[None]:
    """Have the lab watch this call of the backend: where it hangs, that is the result of the trial.

    Raises ChannelError where the backend ends the program by ``sys.exit()`` or as Ctrl-C would.
    """
    for tell in _tell:
        tell(Entered(call))
    try:
        yield
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise ChannelError(f"{call} raised {line_of(error)}") from error
    finally:
        for tell in _tell:
            tell(Left(call))
