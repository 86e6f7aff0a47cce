"""A register in shared memory whose value is more than one word, so that it cannot be written in one step."""

from __future__ import annotations

import ctypes
from contextlib import AbstractContextManager, nullcontext
from multiprocessing.synchronize import Lock
from typing import Any, Literal

from ipclab.backends.base import Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.shared import Register, RegisterClient


class Pair(ctypes.Structure):
    """The shared structure: two fields that belong together, here the same number twice."""

    _fields_ = (("first", ctypes.c_longlong), ("second", ctypes.c_longlong))


class ValueRegister(Register):
    """A ctypes structure, written field by field, as in the documentation of ``multiprocessing``.

    ``naive``: a read between the two writes finds one new field and one old one, a value that nobody wrote.
    ``locked``: reads and writes hold a ``multiprocessing.Lock``.
    """

    name = "value"
    summary = "a structure of two fields in shared memory"
    options = (Option("discipline", "locked", "with or without a lock", ("naive", "locked")),)
    _pair: Any = None
    _lock: Lock | None = None

    @property
    def safe(self) -> bool:
        return self.discipline == "locked"

    @property
    def compares(self) -> bool:
        return False

    @property
    def reach(self) -> Literal["process tree"]:
        return "process tree"

    def setup(self) -> None:
        self._pair = self.site.context.RawValue(Pair, 0, 0)
        self._lock = self.site.context.Lock()

    def client(self, index: int) -> RegisterClient:
        return _Client(self._pair, self._guard())

    def held_client(self, index: int, pause: Pause) -> RegisterClient:
        return _Client(hold(self._pair, pause, writing="first"), self._guard())

    def teardown(self) -> None:
        self._pair = self._lock = None

    def _guard(self) -> AbstractContextManager[object]:
        assert self._lock is not None, "setup() comes first"
        return self._lock if self.safe else nullcontext()


class _Client(RegisterClient):
    def __init__(self, pair: Any, guard: AbstractContextManager[object]) -> None:
        self._pair = pair
        self._guard = guard

    def read(self) -> int | list[int]:
        with self._guard:
            first, second = self._pair.first, self._pair.second
        return first if first == second else [first, second]

    def write(self, value: int) -> None:
        with self._guard:
            self._pair.first = value
            self._pair.second = value
