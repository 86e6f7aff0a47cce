"""The messages between the process of a trial and the lab, and the calls of a backend that the lab watches.

A trial runs in a process of its own (see ``inside``). So the lab can end a backend that hangs in ``setup()``
or ``teardown()``, and nothing that a backend does to its process reaches another trial. The trial tells the
lab when such a call begins and ends, and the lab watches it meanwhile (see ``outside``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from ipclab.errors import ChannelError
from ipclab.host import surroundings
from ipclab.host.text import line_of
from ipclab.trial.record import TrialRecord


class Entered(msgspec.Struct, frozen=True):
    """A watched call of the backend begins, such as ``setup()``."""

    call: str


class Left(msgspec.Struct, frozen=True):
    """The call has ended, by a return or an exception."""

    call: str


class Asked(msgspec.Struct, frozen=True):
    """A method of the lab's broker must be called in the lab's process."""

    number: int
    method: str
    args: tuple[Any, ...]
    settings: Mapping[str, Any]


class Answered(msgspec.Struct, frozen=True):
    """What the method returned or raised, and the attributes of the broker after it."""

    number: int
    value: Any
    error: Exception | None
    facts: Mapping[str, Any]


class Found(msgspec.Struct, frozen=True):
    """The record of the trial; a later one replaces it. Only the tear-down is left to do."""

    record: TrialRecord


class Refused(msgspec.Struct, frozen=True):
    """The trial is impossible, or a defect of the lab ended it: the error that run_trial() raises."""

    error: Exception
    detail: str


class Effects(msgspec.Struct, frozen=True):
    """What the backend changed in its process or left behind, one line each."""

    lines: list[str]


_effects: list[str] = []
"""What the lab undid after a call of the backend, in the process of a trial, one line each."""
_tell: list[Callable[[object], object]] = []
"""The function that tells the lab, in the process of a trial; empty in any other process."""


def tell_to(tell: Callable[[object], object]) -> None:
    """Make this process tell the lab from now on."""
    _tell[:] = [tell]
    _effects.clear()


def effects() -> list[str]:
    """Return what the lab undid in this process after a call of the backend, one line each."""
    return list(dict.fromkeys(_effects))


def found(record: TrialRecord) -> None:
    """Send the lab the record so far, so that nothing that follows can lose it."""
    for tell in _tell:
        tell(Found(record))


@contextmanager
def watched(call: str) -> Iterator[None]:
    """Let the lab watch this call of the backend: if it hangs, the hang is the result of the trial.

    Raise ChannelError where the backend ends the program by ``sys.exit()`` or as Ctrl-C would.
    """
    for tell in _tell:
        tell(Entered(call))
    clocks = surroundings.clocks()
    try:
        yield
    except (SystemExit, KeyboardInterrupt, GeneratorExit) as error:
        raise ChannelError(f"{call} raised {line_of(error)}") from error
    finally:
        _effects.extend(surroundings.restore_clocks(clocks))
        for tell in _tell:
            tell(Left(call))
