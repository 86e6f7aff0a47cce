"""Registers and locks: the faces of a backend over which processes race for one value, or for their turn.

As with a counter, each is used under a named discipline, and clients are connected only inside the worker
that uses them. Clients are not thread-safe and not usable after a fork. ``held_client()`` is for trials that
force a race: it is the same client, reading through a stand-in (``held.py``) that lets it be held at the
moment at which others can come between.
"""

from __future__ import annotations

import abc
from typing import Any

from ipclab.backends.base import Pause, SharedState

BUSY_PAUSE_S = 100e-6
"""Between two attempts to take a lock that does not let its clients wait."""


class RegisterClient(abc.ABC):
    """One worker's access to a register."""

    @abc.abstractmethod
    def read(self) -> Any:
        """The number in it; where what was found is no number that can have been written, what was found."""

    @abc.abstractmethod
    def write(self, value: int) -> None:
        """Set it, whatever it held. Returning means that it is set."""

    def compare_and_set(self, old: int, new: int) -> bool:
        """Set it to ``new`` if it holds ``old``; whether that was so. See ``Register.compares``."""
        raise TypeError("this discipline does not compare")

    def close(self) -> None:  # noqa: B027 - many registers have nothing to close
        """Release the connection."""


class Register(SharedState):
    """One value that processes read and write. ``setup()`` creates it holding 0.

    ``safe`` says that it is linearizable: a read finds what was written last, whole, and of two processes
    that change the same value for another one is told that it came too late.
    """

    @property
    def compares(self) -> bool:
        """Return whether its clients have ``compare_and_set()``."""
        return True

    @abc.abstractmethod
    def client(self, index: int) -> RegisterClient:
        """Connect the client with this index, in its own worker."""

    def held_client(self, index: int, pause: Pause) -> RegisterClient | None:
        """As ``client()``, but ``pause()`` is called between comparing and setting, or where nothing is
        compared between two parts of a write.

        None where there is no such moment; raises CannotHoldError as ``Counter.held_client()`` does. A
        register that does not override this has nothing forced on it.
        """
        raise NotImplementedError(f"{self.name} does not say how its clients are held")


class MutexClient(abc.ABC):
    """One worker's access to a lock."""

    @abc.abstractmethod
    def acquire(self) -> int | None:
        """Wait until the lock is held; its fencing token, or None where it has none."""

    @abc.abstractmethod
    def release(self) -> None:
        """Give it back. Does nothing where it was lost meanwhile."""

    def write(self, token: int) -> bool:
        """Write to what the lock guards, which takes no token below the greatest that it has seen; whether it
        took this one. Only where ``Mutex.fenced``."""
        raise TypeError("nothing checks the tokens of this lock")

    def close(self) -> None:  # noqa: B027 - many locks have nothing to close
        """Release the connection."""


class Mutex(SharedState):
    """A lock. ``setup()`` creates it free.

    ``safe`` says that no two processes hold it at once; of a ``fenced`` one, which cannot say that, that what
    it guards takes the writes of its holders in the order in which they were given the lock, and no late one.
    """

    @property
    def expires(self) -> bool:
        """Return whether it frees itself although its holder has not released it."""
        return False

    @property
    def fenced(self) -> bool:
        """Return whether it gives out rising tokens, and what it guards checks them."""
        return False

    @abc.abstractmethod
    def client(self, index: int) -> MutexClient:
        """Connect the client with this index, in its own worker."""

    def held_client(self, index: int, pause: Pause) -> MutexClient | None:
        """As ``client()``, but ``pause()`` is called between finding the lock free and taking it.

        None where that is one step; raises CannotHoldError as ``Counter.held_client()`` does. A lock that
        does not override this has nothing forced on it.
        """
        raise NotImplementedError(f"{self.name} does not say how its clients are held")
