"""Where workers log raw nanoseconds: files mapped into memory, so that they survive a killed worker.

The files are sparse: a generous capacity costs nothing until it is written. The runner creates them, a worker
maps the ones that it writes, and after the trial the runner reads them with numpy.

``sends``     one signed 8-byte integer a message, at the place of its sequence: when ``send()`` was called.
``returns``   the same for when ``send()`` returned; written by paced producers only.
``receipts``  one record of 24 bytes a receipt, in the order of arrival: time, header (``NO_HEADER`` where
              the rest of the body is not the producer's own).

Each file begins with 8 bytes that say how far the worker has come, for others to look at while it runs. They
may lag behind by a block, to save a store for each message; a ``ReceiptWatch`` finds the last record itself.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ipclab.trial.message import HEADER, HEADER_BYTES

PROGRESS_BYTES = 8
RECEIPT = np.dtype([("time_ns", "<i8"), ("header", HEADER)])
RECEIPT_BYTES = RECEIPT.itemsize
pack_receipt = struct.Struct(f"<q{HEADER_BYTES}s").pack_into
"""``pack_receipt(log, offset, time_ns, body)`` cuts the header off the body by itself."""


def create(path: Path, record_bytes: int, capacity: int) -> None:
    """Make an empty log for ``capacity`` records."""
    with path.open("xb") as file:
        os.truncate(file.fileno(), PROGRESS_BYTES + record_bytes * capacity)


class RawLog:
    """A log that is mapped for writing, or for watching its progress. One writer; any number of watchers."""

    def __init__(self, path: Path, *, watch: bool = False) -> None:
        with path.open("r+b") as file:
            length = PROGRESS_BYTES if watch else 0
            self.map = mmap.mmap(file.fileno(), length, mmap.MAP_SHARED)
        view = memoryview(self.map)
        self.progress = view[:PROGRESS_BYTES].cast("q")
        self.stamps = view[PROGRESS_BYTES:].cast("q") if (len(view) % 8 == 0) else None

    @property
    def capacity_bytes(self) -> int:
        """Bytes there are for records."""
        return len(self.map) - PROGRESS_BYTES

    def close(self) -> None:
        """Unmap. No view of the log may be used any more."""
        self.progress.release()
        if self.stamps is not None:
            self.stamps.release()
        self.map.close()


class ReceiptWatch:
    """How many receipts a consumer has logged, for another process to look at while it runs."""

    def __init__(self, path: Path) -> None:
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
        view = memoryview(self._map)
        self.progress = view[:PROGRESS_BYTES].cast("q")
        """What the consumer has noted: never too many, and up to a block too few."""
        self._words = view[PROGRESS_BYTES:].cast("q")
        self._most = len(self._words) * 8 // RECEIPT_BYTES
        self._count = 0

    def count(self) -> int:
        """Receipts by now. Looks from what is known on, in steps that double and then halve again."""
        words, count, most, step = self._words, max(self._count, self.progress[0]), self._most, 1
        while count + step <= most and words[(count + step - 1) * _RECEIPT_WORDS]:
            count += step
            step *= 2
        while step > 1:
            step //= 2
            if count + step <= most and words[(count + step - 1) * _RECEIPT_WORDS]:
                count += step
        self._count = count
        return count

    def close(self) -> None:
        """Unmap."""
        self.progress.release()
        self._words.release()
        self._map.close()


_RECEIPT_WORDS = RECEIPT_BYTES // 8


def read_stamps(path: Path) -> npt.NDArray[np.int64]:
    """The logged times of a ``sends`` or ``returns`` file, up to the last that was written; 0 for none."""
    stamps = np.memmap(path, np.int64, "r", offset=PROGRESS_BYTES)
    return stamps[: _used(stamps)]


def read_receipts(path: Path) -> npt.NDArray[np.void]:
    """The records of a ``receipts`` file."""
    capacity = (path.stat().st_size - PROGRESS_BYTES) // RECEIPT_BYTES
    receipts = np.memmap(path, RECEIPT, "r", offset=PROGRESS_BYTES, shape=(capacity,))
    return receipts[: _used(receipts["time_ns"])]


def receipt_chunks(path: Path, most: int) -> Iterator[npt.NDArray[np.void]]:
    """The records of a ``receipts`` file, ``most`` at a time, so that they are never all in memory."""
    left, offset = len(read_receipts(path)), PROGRESS_BYTES
    while left:
        chunk = np.fromfile(path, RECEIPT, min(most, left), offset=offset)
        yield chunk
        left -= len(chunk)
        offset += chunk.nbytes


def _used(stamps: npt.NDArray[np.int64]) -> int:
    """How many leading entries are set. A writer fills the log from the front, so a search by halves does."""
    low, high = 0, len(stamps)
    while low < high:
        middle = (low + high) // 2
        if stamps[middle]:
            low = middle + 1
        else:
            high = middle
    return low
