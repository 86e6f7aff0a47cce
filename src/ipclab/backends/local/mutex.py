"""Locks without a server: a flag in shared memory, and ``multiprocessing.Lock``."""

from __future__ import annotations

import ctypes
import time
from multiprocessing.synchronize import Lock
from typing import Any, Literal

from ipclab.backends.base import Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.shared import BUSY_PAUSE_S, Mutex, MutexClient


class ValueMutex(Mutex):
    """``naive``: a flag that a client reads, and sets where it was clear; two processes that read it at the
    same time both set it. ``lock``: ``multiprocessing.Lock``, a semaphore of the system, which stays taken
    for ever when its holder dies.
    """

    name = "value"
    summary = "a flag in shared memory, or multiprocessing.Lock"
    options = (Option("discipline", "lock", "a flag, or a multiprocessing.Lock", ("naive", "lock")),)
    _flag: Any = None
    _lock: Lock | None = None

    @property
    def safe(self) -> bool:
        return self.discipline == "lock"

    @property
    def reach(self) -> Literal["process tree"]:
        return "process tree"

    def setup(self) -> None:
        self._flag = self.site.context.RawValue(ctypes.c_bool, False)
        self._lock = self.site.context.Lock()

    def client(self, index: int) -> MutexClient:
        assert self._lock is not None, "setup() comes first"
        return LockClient(self._lock) if self.safe else FlagClient(self._flag)

    def held_client(self, index: int, pause: Pause) -> MutexClient | None:
        return None if self.safe else FlagClient(hold(self._flag, pause, "value"))

    def teardown(self) -> None:
        self._flag = self._lock = None


class FlagClient(MutexClient):
    """Reads the flag, then sets it."""

    def __init__(self, flag: Any) -> None:
        self._flag = flag

    def acquire(self) -> None:
        while self._flag.value:
            time.sleep(BUSY_PAUSE_S)
        self._flag.value = True

    def release(self) -> None:
        self._flag.value = False


class LockClient(MutexClient):
    """A lock object of a library: of multiprocessing, or of a Manager."""

    def __init__(self, lock: Any) -> None:
        self._lock = lock

    def acquire(self) -> None:
        self._lock.acquire()

    def release(self) -> None:
        self._lock.release()
