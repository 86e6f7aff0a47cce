"""The counter of a multiprocessing Manager: ``d["n"] += 1`` on a dict proxy, bare or under a proxied lock."""

from __future__ import annotations

from contextlib import AbstractContextManager
from multiprocessing.managers import DictProxy

from ipclab.backends.base import Counter, CounterClient, Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.manager.number import KEY, ManagedNumber


class ManagerDictCounter(ManagedNumber, Counter):
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

    @property
    def safe(self) -> bool:
        return self.discipline == "locked"

    def client(self, index: int) -> CounterClient:
        return _Client(self._dict, self.guard(self.safe))

    def held_client(self, index: int, pause: Pause) -> CounterClient:
        return _Client(hold(self._dict, pause), self.guard(self.safe))


class _Client(CounterClient):
    def __init__(self, shared: DictProxy[str, int], guard: AbstractContextManager[object]) -> None:
        self._shared = shared
        self._guard = guard

    def increment(self) -> None:
        with self._guard:
            self._shared[KEY] += 1

    def read(self) -> int:
        return self._shared[KEY]
