"""The process of one racer: it does what its parent tells it to, and logs every operation.

Parent and racer talk over a pipe of their own::

    racer   Ready()                 connected
    parent  Do("add", 1)            one operation, logged; or
    parent  Run(start_ns, end_ns)   many of them
    racer   Held()                  it has read and not yet written; only of a racer that can be held
    parent  GoOn()                  write
    racer   Done(answer)            the operation has ended
    parent  None                    close the connection and end

How every child process of the lab begins, fails and ends is in ``host.child``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from ipclab.backends.base import Counter, SharedState
from ipclab.history.log import ProcessLog
from ipclab.host.link import Link
from ipclab.trial.pacing import wait_until
from ipclab.trial.race_moves import LoadedMoves, Moves, moves


class Ready(msgspec.Struct, frozen=True):
    """The racer is connected. ``holdable``: it can be held within an operation. ``out_of_reach``: there is
    such a moment, but the lab cannot hold it there."""

    holdable: bool
    out_of_reach: bool = False


class Do(msgspec.Struct, frozen=True):
    """Do one operation; it is logged under this name."""

    f: str
    value: Any = None


class Run(msgspec.Struct, frozen=True):
    """Race from ``start_ns`` to ``end_ns`` without further orders; ``most`` rounds, or unlogged if 0."""

    start_ns: int
    end_ns: int
    most: int = 0


class Held(msgspec.Struct, frozen=True):
    """The operation has reached the moment at which other processes can intervene."""


class GoOn(msgspec.Struct, frozen=True):
    """Complete the operation; it is not held again."""


class Done(msgspec.Struct, frozen=True):
    """The operation has ended with this ``answer``."""

    answer: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Racing:
    """Everything that a racer is given. ``holding``: hold each operation where others can intervene."""

    index: int
    shared: SharedState
    log: Path
    holding: bool


def main(parent: Link, racing: Racing) -> None:
    """Race as the parent orders; the main function of a racer's process."""
    with ProcessLog(racing.log, racing.index) as log:
        _obey(racing, log, parent)


def own(parent: Link, counter: Counter) -> None:
    """Own a counter's number; the main function of the owner's process."""
    parent.send(Ready(False))
    counter.serve()


def _obey(racing: Racing, log: ProcessLog, parent: Link) -> None:
    gate = _Gate(parent)
    mine = moves(racing.shared, racing.index, log, gate.pause if racing.holding else None)
    parent.send(Ready(mine.holdable, mine.out_of_reach))
    while (order := parent.recv()) is not None:
        gate.armed = racing.holding
        answer = _do(mine, order)
        gate.armed = False
        parent.send(Done(answer))
    mine.close()


def _do(mine: Moves, order: Do | Run) -> Any:
    if isinstance(order, Do):
        return mine.do(order.f, order.value)
    assert isinstance(mine, LoadedMoves), "counters are loaded by workers of their own"
    wait_until(order.start_ns)
    return mine.load(order.end_ns, order.most) if order.most else mine.measure(order.end_ns)


class _Gate:
    """Lets an operation wait for the parent, once."""

    def __init__(self, parent: Link) -> None:
        self.armed = False
        self._parent = parent

    def pause(self) -> None:
        if self.armed:
            self.armed = False
            self._parent.send(Held())
            self._parent.recv()
