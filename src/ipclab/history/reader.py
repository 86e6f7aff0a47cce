"""Reads history files, strictly: refuses what is malformed, with its line number."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from ipclab.errors import UsageError
from ipclab.history.columns import CODE_OF, FOREVER, OPEN, Columns, Fault, History
from ipclab.history.format import ANSWERS, CODES, FAULT, FUNCTIONS, VERSION, Header, Line, Model, Name
from ipclab.host.files import opened

_GZIP = b"\x1f\x8b"
MOST_LINE_BYTES = 1 << 20
"""The longest line of a history."""
MOST_BYTES = 256 << 20
"""The most bytes of an unpacked history: about 2 million operations."""
_VALUE_NEEDED = frozenset(("enqueue", "send"))


def read(path: Path, model: Model | None = None) -> History:
    """Return the history in a file, plain or gzipped. ``model`` is used where the header names none.

    Raise UsageError where the file cannot be read or a line is malformed, with the number of the line.
    """
    try:
        with opened(path) as file:
            zipped = file.read(2) == _GZIP
            file.seek(0)
            text = gzip.GzipFile(fileobj=file) if zipped else file
            return parse(_lines(text, str(path)), model, str(path))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise UsageError(f"{path}: the gzip data is damaged or cut off ({error}); copy it again") from error
    except OSError as error:
        raise UsageError(f"cannot read the history {path}: {error.strerror}") from error


def _lines(file: BinaryIO | gzip.GzipFile, name: str) -> Iterator[bytes]:
    """Yield the lines of a file, within bounds. Raise UsageError beyond them."""
    total = 0
    for number in count(1):
        line = file.readline(MOST_LINE_BYTES + 1)
        if len(line) > MOST_LINE_BYTES:
            raise UsageError(
                f"{name} line {number}: it is longer than {MOST_LINE_BYTES} bytes; this is no history"
            )
        total += len(line)
        if total > MOST_BYTES:
            raise UsageError(f"{name}: it holds more than {MOST_BYTES >> 20} MiB; check a part of it")
        if not line:
            return
        yield line


def parse(lines: Iterable[bytes], model: Model | None = None, name: str = "history") -> History:
    """Return the history in these lines. Raise UsageError: ``NAME line N: what is wrong``."""
    reading = iter(lines)
    number = 1
    try:
        parser = _Parser(_header(reading), model)
        for number, text in enumerate(reading, 2):  # noqa: B007  # the number is for the error
            parser.line(text)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise UsageError(f"{name} line {number}: {error}") from error
    return parser.history()


def _header(lines: Iterator[bytes]) -> Header:
    first = next(lines, b"")
    header = msgspec.json.decode(first, type=Header) if first.strip() else None
    if header is None:
        raise ValueError('the file is empty; it begins with {"ipclab_history": 1, "model": …}')
    if header.ipclab_history != VERSION:
        raise ValueError(f"this is version {header.ipclab_history}; this ipclab reads version {VERSION}")
    if header.in_flight < 0:
        raise ValueError("in_flight is negative")
    return header


class _Parser:
    def __init__(self, header: Header, model: Model | None) -> None:
        model = header.model or model
        if model is None:
            raise ValueError("the header names no model; add one, or give --model")
        self._header = header
        self._model = model
        self._codes = {f: CODES[f] for f in FUNCTIONS[model]}
        self._columns = Columns()
        self._pending: dict[Name, tuple[str, Name | None, Any, int]] = {}
        self._latest: dict[Name, int] = {}
        self._faults: list[Fault] = []
        self._faults_pending: dict[bytes, int] = {}
        self._decode = msgspec.json.Decoder(Line).decode

    def line(self, text: bytes) -> None:
        """Enter a line. Raise ValueError or a msgspec error where it is malformed."""
        if not text.endswith(b"\n"):
            raise ValueError("the line is not ended; the file was cut off")
        line = self._decode(text)
        process, time = line.process, line.time
        if not 0 <= time < FOREVER:
            raise ValueError(f"time {time} is not from 0 to {FOREVER - 1} nanoseconds")
        if process == FAULT:
            self._fault(line)
            return
        if time < self._latest.get(process, 0):
            raise ValueError(f"time of process {process} goes back from {self._latest[process]} to {time}")
        self._latest[process] = time
        if line.type == "invoke":
            self._invoke(line)
        else:
            self._complete(line)

    def history(self) -> History:
        """Return the history of the lines; operations still in progress stay open for ever."""
        return self._columns.history(self._header, self._faults)

    def _invoke(self, line: Line) -> None:
        f, value = line.f, line.value
        code = self._codes.get(f)
        if code is None:
            raise ValueError(f"{self._model} has no {f!r}; it has {', '.join(self._codes)}")
        if line.process in self._pending:
            under_way = self._pending[line.process][0]
            raise ValueError(
                f"process {line.process} invokes {f} while its {under_way} is in progress; "
                f"a restarted process needs a new name"
            )
        if f in ANSWERS:
            if value is not None:
                raise ValueError(f"{f} is invoked without a value; its answer comes with ok")
        else:
            self._check_argument(f, value)
        place = self._columns.add(line.process, code, line.key, value, line.time, FOREVER, OPEN)
        self._pending[line.process] = f, line.key, value, place

    def _check_argument(self, f: str, value: Any) -> None:
        if f in _VALUE_NEEDED and value is None:
            raise ValueError(f"{f} needs a value other than null")
        if f == "cas" and not (isinstance(value, list) and len(value) == 2):
            raise ValueError("the value of cas is [old, new]")
        if f == "add":
            _check_integer(f, value)
        if f == "ack" and value is not None:
            raise ValueError("ack has no value; it acknowledges all that its process has received")
        if f == "release" and value is not None:
            _check_integer(f, value)

    def _complete(self, line: Line) -> None:
        f, value = line.f, line.value
        pending = self._pending.pop(line.process, None)
        if pending is None:
            raise ValueError(f"{line.type} of {f} by process {line.process}, which invoked nothing")
        invoked, key, asked, place = pending
        if f != invoked or line.key != key:
            raise ValueError(
                f"process {line.process} completes {_with_key(f, line.key)} but invoked "
                f"{_with_key(invoked, key)}"
            )
        if f not in ANSWERS:
            if value is not None and value != asked:
                raise ValueError(f"{f} was invoked with {asked!r} and completes with {value!r}")
        elif line.type == "ok":
            if (f == "acquire" and value is not None) or (f == "read" and self._model == "counter"):
                _check_integer(f, value)
            self._columns.value[place] = self._columns.values.code(value)
        self._columns.end[place] = line.time
        self._columns.outcome[place] = CODE_OF[line.type]

    def _fault(self, line: Line) -> None:
        name = msgspec.json.encode([line.f, line.value])
        begun = self._faults_pending.pop(name, None)
        if line.type == "invoke":
            if begun is not None:
                raise ValueError(f"fault {line.f} of {line.value!r} begins twice")
            self._faults_pending[name] = len(self._faults)
            self._faults.append(Fault(f=line.f, value=line.value, start_ns=line.time, end_ns=None))
        elif begun is not None:
            if line.time < self._faults[begun].start_ns:
                raise ValueError(f"fault {line.f} of {line.value!r} ends before it begins")
            self._faults[begun] = msgspec.structs.replace(self._faults[begun], end_ns=line.time)
        else:
            self._faults.append(Fault(f=line.f, value=line.value, start_ns=line.time, end_ns=line.time))


def _check_integer(f: str, value: Any) -> None:
    if type(value) is not int or not -(1 << 62) < value < 1 << 62:
        raise ValueError(f"the value of {f} is {value!r}; it must be an integer below 2**62 in size")


def _with_key(f: str, key: Name | None) -> str:
    return f if key is None else f"{f} of {key!r}"
