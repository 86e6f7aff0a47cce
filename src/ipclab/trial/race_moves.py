"""What racers do to what they share: one operation at a time, each logged before and after it."""

from __future__ import annotations

import abc
from typing import Any

from ipclab.backends.base import Counter, Pause, SharedState
from ipclab.history.log import ProcessLog


class Moves(abc.ABC):
    """The operations of one racer. ``holdable`` says whether it has a moment at which it will be held."""

    holdable = False

    @abc.abstractmethod
    def do(self, f: str, value: Any) -> Any:
        """Do and log one operation; its answer. What it raises leaves the operation's outcome unknown."""

    @abc.abstractmethod
    def close(self) -> None:
        """Release the connection."""


class CounterMoves(Moves):
    """``add`` and ``read``; ``stop`` ends the owner and is not logged."""

    def __init__(self, counter: Counter, index: int, log: ProcessLog, pause: Pause | None) -> None:
        held = counter.held_client(index, pause) if pause else None
        self.holdable = held is not None
        self._client = held or counter.client(index)
        self._log = log

    def do(self, f: str, value: Any) -> Any:
        if f == "stop":
            return self._client.stop_owner()
        if f == "add":
            self._log.invoke("add", 1)
            self._client.increment()
            return self._log.ok()
        self._log.invoke("read")
        found = self._client.read()
        self._log.ok(found)
        return found

    def close(self) -> None:
        self._client.close()


def moves(shared: SharedState, index: int, log: ProcessLog, pause: Pause | None) -> Moves:
    """The operations on this, connected; held by ``pause`` where that is given and it can be."""
    if isinstance(shared, Counter):
        return CounterMoves(shared, index, log, pause)
    raise TypeError(f"{shared.name} is nothing to race for")
