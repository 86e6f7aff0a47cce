"""A register and a lock in the server process of a Manager: a key of a dict, and a ``Lock``."""

from __future__ import annotations

import time
from contextlib import AbstractContextManager
from multiprocessing.managers import DictProxy

from ipclab.backends.base import Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.local.mutex import LockClient
from ipclab.backends.manager.number import KEY, ManagedNumber
from ipclab.backends.shared import BUSY_PAUSE_S, Mutex, MutexClient, Register, RegisterClient


class ManagerDictRegister(ManagedNumber, Register):
    """A key of a ``Manager().dict()``. Each read and each write is one request, and whole.

    ``naive``: ``if d[k] == old: d[k] = new``: two processes that compare before either sets both believe that
    they were first. ``locked``: the same while holding a ``Manager().Lock()``.
    """

    name = "manager-dict"
    summary = "a key of a Manager().dict(), compared and then set"
    options = (Option("discipline", "naive", "bare, or under a Manager().Lock()", ("naive", "locked")),)

    @property
    def safe(self) -> bool:
        return self.discipline == "locked"

    def client(self, index: int) -> RegisterClient:
        return _DictRegister(self._dict, self.guard(self.safe))

    def held_client(self, index: int, pause: Pause) -> RegisterClient:
        return _DictRegister(hold(self._dict, pause), self.guard(self.safe))


class _DictRegister(RegisterClient):
    def __init__(self, shared: DictProxy[str, int], guard: AbstractContextManager[object]) -> None:
        self._shared = shared
        self._guard = guard

    def read(self) -> int:
        return self._shared[KEY]

    def write(self, value: int) -> None:
        with self._guard:
            self._shared[KEY] = value

    def compare_and_set(self, old: int, new: int) -> bool:
        with self._guard:
            if self._shared[KEY] != old:
                return False
            self._shared[KEY] = new
            return True


class ManagerDictMutex(ManagedNumber, Mutex):
    """``naive``: a flag in a ``Manager().dict()`` that is read, and then set. ``lock``: a
    ``Manager().Lock()``, which stays taken for ever when its holder dies."""

    name = "manager-dict"
    summary = "a flag in a Manager().dict(), or a Manager().Lock()"
    options = (Option("discipline", "lock", "a flag, or a Manager().Lock()", ("naive", "lock")),)

    @property
    def safe(self) -> bool:
        return self.discipline == "lock"

    def client(self, index: int) -> MutexClient:
        return LockClient(self._lock) if self.safe else _DictFlag(self._dict)

    def held_client(self, index: int, pause: Pause) -> MutexClient | None:
        return None if self.safe else _DictFlag(hold(self._dict, pause))


class _DictFlag(MutexClient):
    def __init__(self, shared: DictProxy[str, int]) -> None:
        self._shared = shared

    def acquire(self) -> None:
        while self._shared[KEY]:
            time.sleep(BUSY_PAUSE_S)
        self._shared[KEY] = 1

    def release(self) -> None:
        self._shared[KEY] = 0
