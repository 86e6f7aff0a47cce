"""A history in memory: one row per operation, in columns, about 40 bytes each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from ipclab.history.format import CODES, NAMES, VERSION, Header, Model, Name
from ipclab.history.values import Values

FOREVER = int(np.iinfo(np.int64).max)
"""The end of an operation that never completed, or whose completion is ``info``."""
Outcome = Literal["ok", "fail", "info", "open"]
OUTCOMES: tuple[Outcome, ...] = ("ok", "fail", "info", "open")
OK, FAIL, INFO, OPEN = range(4)

Int64s = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Operation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One operation. ``end_ns`` is None where it never completed (``open``). ``info`` means that it may have
    happened, then or at any later time; ``fail`` that it certainly did not. ``value`` is the argument, or for
    ``read``, ``dequeue``, ``receive`` and ``acquire`` the answer."""

    process: Name
    f: str
    value: Any = None
    start_ns: int
    end_ns: int | None = None
    outcome: Outcome = "ok"
    key: Name | None = None


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A fault: its kind, its target, and its time; ``end_ns`` is None where it was never healed, and
    ``start_ns`` where it took no time."""

    f: str
    value: Any
    start_ns: int
    end_ns: int | None


@dataclass(frozen=True, slots=True, eq=False)
class History:
    """All operations, in the order of their invocation within each process. The arrays are parallel.

    ``process`` and ``key`` are indexes in ``processes`` and ``keys``; ``f`` in ``format.NAMES``; ``outcome``
    in ``OUTCOMES``. ``end`` is as logged, ``FOREVER`` for none. Immutable, so threads may share it.
    """

    header: Header
    processes: list[Name]
    keys: list[Name | None]
    values: Values
    faults: list[Fault]
    process: npt.NDArray[np.int32]
    key: npt.NDArray[np.int32]
    f: npt.NDArray[np.int8]
    outcome: npt.NDArray[np.int8]
    value: Int64s
    start: Int64s
    end: Int64s

    def __len__(self) -> int:
        return len(self.start)

    @property
    def last_possible(self) -> Int64s:
        """Return the latest time at which each operation took effect: its end if known, else ``FOREVER``."""
        return np.where((self.outcome == OK) | (self.outcome == FAIL), self.end, FOREVER)

    def operation(self, i: int) -> Operation:
        """Return the operation at an index."""
        end = int(self.end[i])
        return Operation(
            process=self.processes[self.process[i]],
            f=NAMES[self.f[i]],
            value=self.values.value(int(self.value[i])),
            start_ns=int(self.start[i]),
            end_ns=None if end == FOREVER else end,
            outcome=OUTCOMES[self.outcome[i]],
            key=self.keys[self.key[i]],
        )

    def name(self, process: Name) -> str:
        """Return the name of a process: from the header, else its own name or number."""
        own = f"process {process}" if isinstance(process, int) else process
        return self.header.names.get(str(process), own)

    def places(self, *functions: str) -> Int64s:
        """Return the indexes of these operations."""
        return np.flatnonzero(np.isin(self.f, [CODES[f] for f in functions]))

    def without(self, *functions: str) -> History:
        """Return the history without these operations, or itself where it has none of them."""
        out = np.isin(self.f, [CODES[f] for f in functions])
        if not out.any():
            return self
        names = ("process", "key", "f", "outcome", "value", "start", "end")
        return replace(self, **{name: getattr(self, name)[~out] for name in names})

    @classmethod
    def of(
        cls,
        operations: Iterable[Operation],
        model: Model | None = None,
        *,
        faults: Iterable[Fault] = (),
        header: Header | None = None,
    ) -> History:
        """Return a history of these operations, each process's in their order."""
        columns = Columns()
        for op in operations:
            end = FOREVER if op.end_ns is None else op.end_ns
            columns.add(op.process, CODES[op.f], op.key, op.value, op.start_ns, end, CODE_OF[op.outcome])
        if header is None:
            header = Header(ipclab_history=VERSION, model=model)
        return columns.history(header, list(faults))


CODE_OF: dict[str, int] = {outcome: code for code, outcome in enumerate(OUTCOMES)}


class Columns:
    """A history that grows row by row. Not thread-safe."""

    def __init__(self) -> None:
        from array import array

        self.values = Values()
        self._processes: dict[Name, int] = {}
        self._keys: dict[Name | None, int] = {}
        self._process, self._key = array("i"), array("i")
        self._f, self.outcome = array("b"), array("b")
        self.value, self._start, self.end = array("q"), array("q"), array("q")

    def add(
        self, process: Name, f: int, key: Name | None, value: Any, start: int, end: int, outcome: int
    ) -> int:
        """Append an operation; return its index."""
        self._process.append(self._processes.setdefault(process, len(self._processes)))
        self._key.append(self._keys.setdefault(key, len(self._keys)))
        self._f.append(f)
        self.outcome.append(outcome)
        self.value.append(self.values.code(value))
        self._start.append(start)
        self.end.append(end)
        return len(self._start) - 1

    def history(self, header: Header, faults: list[Fault]) -> History:
        """Return the history so far; nothing may be added after this, because it takes over the columns."""
        return History(
            header=header,
            processes=list(self._processes),
            keys=list(self._keys),
            values=self.values,
            faults=faults,
            process=np.frombuffer(self._process, np.int32),
            key=np.frombuffer(self._key, np.int32),
            f=np.frombuffer(self._f, np.int8),
            outcome=np.frombuffer(self.outcome, np.int8),
            value=np.frombuffer(self.value, np.int64),
            start=np.frombuffer(self._start, np.int64),
            end=np.frombuffer(self.end, np.int64),
        )
