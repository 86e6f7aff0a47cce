"""Merges the logs of all processes into one history file."""

from __future__ import annotations

import gzip
import heapq
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from ipclab.history.format import Header, Line

_LEVEL = 3


def merge(path: Path, header: Header, logs: Iterable[Path]) -> None:
    """Write ``path`` (gzipped): the header, then the lines of all logs in the order of time.

    A last line that its writer did not finish is left out: nothing is known about it. The file gets its name
    only when it is complete. Raise OSError.
    """
    partial = path.with_name(path.name + ".partial")
    with gzip.GzipFile(partial, "wb", compresslevel=_LEVEL, mtime=0) as file:
        file.write(msgspec.json.encode(header) + b"\n")
        for _, text in heapq.merge(*(_lines(log) for log in logs), key=lambda timed: timed[0]):
            file.write(text)
    partial.replace(path)


def _lines(log: Path) -> Iterator[tuple[int, bytes]]:
    decode = msgspec.json.Decoder(Line).decode
    with log.open("rb") as file:
        for text in file:
            if text.endswith(b"\n"):
                yield decode(text).time, text
