"""``file:PATH``: the user's own messages, one JSON value a line, sampled."""

from __future__ import annotations

import functools
import json
import random
from pathlib import Path
from typing import Any

from ipclab.errors import UsageError
from ipclab.payload.kinds.base import Content, Stamp
from ipclab.payload.kinds.jobs import LARGEST_BYTES, crc, plain
from ipclab.payload.sizes import Size, SizeRange

MOST_FILE_BYTES = 256 * 2**20


class _LineContent:
    def __init__(self, value: Any) -> None:
        self._value = value
        self._plain = plain(value)
        self.checksum = crc(self._plain)

    def sealed(self, stamp: Stamp) -> list[Any]:
        return [stamp.hex(), self._value]

    sealed_in_place = sealed

    def is_in(self, message: Any) -> bool:
        return type(message) is list and len(message) == 1 and plain(message[0]) == self._plain


class FileKind:
    """The lines of a file; a message is a list of the stamp and the value of one line.

    Raises UsageError where the file cannot be read, or a line of it is no JSON.
    """

    smallest_bytes = 1
    largest_bytes: int | None = LARGEST_BYTES

    def __init__(self, path: str) -> None:
        if not path:
            raise UsageError("name the file with the messages: --payload file:PATH")
        self.path = Path(path)
        self.name = f"file:{path}"

    @property
    def size(self) -> Size:
        """Return the range of the sizes of the lines."""
        lengths = [len(line) for line in _lines(self.path)]
        low, high = min(lengths), max(lengths)
        return low if low == high else SizeRange(low, high)

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        """Return the values of ``count`` lines; their sizes are their own, whatever ``size`` is."""
        lines = list(_lines(self.path))
        random.Random(seed).shuffle(lines)
        return [_LineContent(json.loads(line)) for line in lines[:count]]

    def stamp_of(self, message: Any) -> Stamp:
        return bytes.fromhex(message.pop(0))


@functools.lru_cache(maxsize=2)
def _lines(path: Path) -> tuple[bytes, ...]:
    """Return the lines of the file that are not empty, each of them JSON. Raise UsageError."""
    try:
        if path.stat().st_size > MOST_FILE_BYTES:
            raise UsageError(f"{path} has more than {MOST_FILE_BYTES >> 20} MiB: take a part of it")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise UsageError(f"cannot read the payload file {path}: {error.strerror}") from error
    found = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UsageError(f"line {number} of {path} is no JSON: {error}") from error
        if len(line) > LARGEST_BYTES:
            raise UsageError(f"line {number} of {path} has more than {LARGEST_BYTES >> 20} MiB")
        found.append(line)
    if not found:
        raise UsageError(f"{path} has no line with a message")
    return tuple(found)
