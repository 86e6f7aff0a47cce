"""The counter of a multiprocessing Manager: ``d["n"] += 1`` on a dict proxy, bare or under a proxied lock."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.managers import DictProxy
from typing import Literal

from ipclab.backends.base import Counter, CounterClient, Option, Pause
from ipclab.backends.held import held
from ipclab.backends.manager import ManagerServer

KEY = "n"


class ManagerDictCounter(ManagerServer, Counter):
    """One value in a ``Manager().dict()``.

    ``naive``: ``d["n"] += 1`` is one request that reads and another that writes, and two processes that read
    the same value lose an update. ``locked``: the same while holding a ``Manager().Lock()``, which is safe,
    but stays taken for ever when its holder dies.
    """

    name = "manager-dict"
    summary = 'd["n"] += 1 on a Manager().dict()'
    options = (
        Option(
            "discipline",
            "naive",
            "a bare +=, or one under a Manager().Lock()",
            ("naive", "locked"),
        ),
    )

    _dict: DictProxy[str, int]
    _lock: threading.Lock
    """In truth a proxy of one, which is what ``SyncManager.Lock()`` declares."""

    @property
    def safe(self) -> bool:
        return self.discipline == "locked"

    @property
    def reach(self) -> Literal["process tree", "host", "network"]:
        return "process tree"

    def setup(self) -> None:
        manager = self.start_manager(self.site)
        self._dict = manager.dict({KEY: 0})
        self._lock = manager.Lock()

    def client(self, index: int) -> CounterClient:
        return _Client(self._dict, self._guard())

    def held_client(self, index: int, pause: Pause) -> CounterClient:
        return _Client(held(self._dict, pause), self._guard())

    def _guard(self) -> AbstractContextManager[object]:
        return self._lock if self.safe else nullcontext()


class _Client(CounterClient):
    def __init__(self, shared: DictProxy[str, int], guard: AbstractContextManager[object]) -> None:
        self._shared = shared
        self._guard = guard

    def increment(self) -> None:
        with self._guard:
            self._shared[KEY] += 1

    def read(self) -> int:
        return self._shared[KEY]
