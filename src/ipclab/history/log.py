"""The log of one process: a file of its own that survives the kill of that process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from ipclab.history.format import FAULT, Kind, Line, Name


class ProcessLog:
    """Appends a line for each invocation and completion, in one write each and without a buffer.

    So everything logged is in the file when the process is killed with SIGKILL, at any time (it does not
    survive a crash of the machine). ``invoke()`` is called before the operation, one of ``ok()``, ``fail()``
    and ``info()`` after it. The clock is read last before the operation and first after it, so an interval
    is never shorter than the operation was. One object per process and file: not thread-safe, and not to be
    used after a fork. ``clock`` returns nanoseconds of a monotonic clock that all processes of one history
    share, as they share the default. Every method raises OSError where the file cannot be written.
    """

    def __init__(self, path: Path, process: Name, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._process = process
        self._clock = clock
        self._encode = msgspec.json.Encoder().encode
        self._under_way: tuple[str, Any, Name | None] | None = None

    def invoke(self, f: str, value: Any = None, key: Name | None = None) -> None:
        """Log that an operation is about to be called. ``value`` is its argument, None for none."""
        self._under_way = f, value, key
        self._write("invoke", f, value, key, self._clock())

    def ok(self, value: Any = None) -> None:
        """Log that the operation happened. ``value`` is the answer, where the operation has one."""
        self._complete("ok", value, self._clock())

    def fail(self) -> None:
        """Log that the operation certainly did not happen."""
        self._complete("fail", None, self._clock())

    def info(self) -> None:
        """Log that the operation may have happened, or may still happen."""
        self._complete("info", None, self._clock())

    def close(self) -> None:
        """Close the file; operations in progress stay open for ever."""
        os.close(self._file)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _complete(self, kind: Kind, answer: Any, time_ns: int) -> None:
        if self._under_way is None:
            raise ValueError(f"process {self._process} completes what it did not invoke; call invoke() first")
        f, value, key = self._under_way
        self._under_way = None
        self._write(kind, f, answer if answer is not None else value, key, time_ns)

    def _write(self, kind: Kind, f: str, value: Any, key: Name | None, time_ns: int) -> None:
        line = Line(process=self._process, type=kind, f=f, time=time_ns, value=value, key=key)
        data = self._encode(line) + b"\n"
        if os.write(self._file, data) != len(data):
            raise OSError(f"process {self._process} could not write a whole line of its history")


class FaultLog:
    """A log of faults, which may overlap: ``begin()`` and ``end()`` with the same words are one fault."""

    def __init__(self, path: Path, clock: Callable[[], int] = time.perf_counter_ns) -> None:
        self._log = ProcessLog(path, FAULT, clock)
        self._clock = clock

    def moment(self, f: str, value: Any = None) -> None:
        """Log a fault that takes no time, such as a kill."""
        self._log._write("info", f, value, None, self._clock())

    def begin(self, f: str, value: Any = None) -> None:
        """Log that a fault is about to be applied."""
        self._log._write("invoke", f, value, None, self._clock())

    def end(self, f: str, value: Any = None) -> None:
        """Log that a fault is healed."""
        self._log._write("info", f, value, None, self._clock())

    def close(self) -> None:
        """Close the file."""
        self._log.close()
