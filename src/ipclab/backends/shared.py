"""Registers and locks: the faces of a backend for which processes race, for one value or for their turn.

As with a counter, each is used under a named discipline, and clients are connected only inside the worker
that uses them. Clients are not thread-safe and not usable after a fork. ``held_client()`` is for trials that
force a race: it is the same client, whose reads go through a wrapper (``held.py``) that can hold it at the
moment at which others can intervene.
"""

from __future__ import annotations

import abc
from typing import Any

from ipclab.backends.base import Pause, SharedState

BUSY_PAUSE_S = 100e-6
"""Pause between two attempts to take a lock whose server does not let clients wait."""


class RegisterClient(abc.ABC):
    """One worker's access to a register."""

    @abc.abstractmethod
    def read(self) -> Any:
        """Return the number in the register, or what it holds where that is no number that was written."""

    @abc.abstractmethod
    def write(self, value: int) -> None:
        """Set the value, whatever the register held. The return means that it is set."""

    def compare_and_set(self, old: int, new: int) -> bool:
        """Set it to ``new`` if it holds ``old``; return whether it did. See ``Register.compares``."""
        raise TypeError("this discipline does not compare")

    def close(self) -> None:  # noqa: B027 - many registers have nothing to close
        """Release the connection."""


class Register(SharedState):
    """One value that processes read and write. ``setup()`` creates it with the value 0.

    ``safe`` says that it is linearizable: a read returns the last written value, whole, and of two processes
    that replace the same value one is told that it came too late.
    """

    @property
    def compares(self) -> bool:
        """Return whether its clients have ``compare_and_set()``."""
        return True

    @abc.abstractmethod
    def client(self, index: int) -> RegisterClient:
        """Connect the client with this index, in its own worker."""

    def held_client(self, index: int, pause: Pause) -> RegisterClient | None:
        """Return a client like ``client()``'s that calls ``pause()`` between comparing and setting.

        Where nothing is compared, it calls ``pause()`` between two parts of a write. None means that there is
        no such moment; raise CannotHoldError as ``Counter.held_client()`` does. No race is forced on a
        register that does not override this.
        """
        raise NotImplementedError(f"{self.name} does not say how its clients are held")


class MutexClient(abc.ABC):
    """One worker's access to a lock."""

    @abc.abstractmethod
    def acquire(self) -> int | None:
        """Wait until the lock is held; return its fencing token, or None where it has none."""

    @abc.abstractmethod
    def release(self) -> None:
        """Release the lock. Do nothing where it was lost meanwhile."""

    def write(self, token: int) -> bool:
        """Write to the guarded resource, which refuses a token below the greatest it has seen; return whether
        it took this one. Only where ``Mutex.fenced``."""
        raise TypeError("nothing checks the tokens of this lock")

    def close(self) -> None:  # noqa: B027 - many locks have nothing to close
        """Release the connection."""


class Mutex(SharedState):
    """A lock. ``setup()`` creates it free.

    ``safe`` says that no two processes hold it at once. A ``fenced`` lock cannot promise that. For it,
    ``safe`` says that the guarded resource takes the writes of holders in the order in which they got the
    lock, and no late write.
    """

    @property
    def expires(self) -> bool:
        """Return whether it expires although its holder has not released it."""
        return False

    @property
    def fenced(self) -> bool:
        """Return whether it issues rising tokens that the guarded resource checks."""
        return False

    @abc.abstractmethod
    def client(self, index: int) -> MutexClient:
        """Connect the client with this index, in its own worker."""

    def held_client(self, index: int, pause: Pause) -> MutexClient | None:
        """Return a client like ``client()``'s that calls ``pause()`` between reading and taking the lock.

        None where that is one step; raise CannotHoldError as ``Counter.held_client()`` does. No race is
        forced on a lock that does not override this.
        """
        raise NotImplementedError(f"{self.name} does not say how its clients are held")
