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

import errno
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ipclab.errors import UsageError
from ipclab.trial.message import HEADER, HEADER_BYTES

PROGRESS_BYTES = 8
RECEIPT = np.dtype([("time_ns", "<i8"), ("header", HEADER)])
RECEIPT_BYTES = RECEIPT.itemsize
_UNSET = bytes(8)
pack_receipt = struct.Struct(f"<q{HEADER_BYTES}s").pack_into
"""``pack_receipt(log, offset, time_ns, body)`` cuts the header off the body by itself."""


def create(path: Path, record_bytes: int, capacity: int) -> None:
    """Make an empty log for ``capacity`` records. Raises UsageError where there is no room even for that."""
    try:
        with path.open("xb") as file:
            # Written, so that to look at the progress never needs room that may be gone by then.
            file.write(bytes(PROGRESS_BYTES))
            file.truncate(PROGRESS_BYTES + record_bytes * capacity)
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise UsageError(
            f"no room for the raw logs of a trial in {path.parent.parent}: make some, "
            "or set TMPDIR to another folder"
        ) from error


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
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._map = mmap.mmap(self._file, PROGRESS_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
        self.progress = memoryview(self._map).cast("q")
        """What the consumer has noted: never too many, and up to a block too few."""
        self._most = (os.fstat(self._file).st_size - PROGRESS_BYTES) // RECEIPT_BYTES
        self._count = 0

    def count(self) -> int:
        """Receipts by now. Looks from what is known on, in steps that double and then halve again."""
        count, most, step = max(self._count, self.progress[0]), self._most, 1
        while count + step <= most and self._is_set(count + step - 1):
            count += step
            step *= 2
        while step > 1:
            step //= 2
            if count + step <= most and self._is_set(count + step - 1):
                count += step
        self._count = count
        return count

    def close(self) -> None:
        """Let go of the log."""
        self.progress.release()
        self._map.close()
        os.close(self._file)

    def _is_set(self, place: int) -> bool:
        return _is_set(self._file, PROGRESS_BYTES + place * RECEIPT_BYTES)


def read_stamps(path: Path) -> npt.NDArray[np.int64]:
    """The logged times of a ``sends`` or ``returns`` file, up to the last that was written; 0 for none."""
    return _mapped(path, np.dtype(np.int64))


def read_receipts(path: Path) -> npt.NDArray[np.void]:
    """The records of a ``receipts`` file."""
    return _mapped(path, RECEIPT)


def receipt_chunks(path: Path, most: int) -> Iterator[npt.NDArray[np.void]]:
    """The records of a ``receipts`` file, ``most`` at a time, so that they are never all in memory."""
    left, offset = len(read_receipts(path)), PROGRESS_BYTES
    while left:
        chunk = np.fromfile(path, RECEIPT, min(most, left), offset=offset)
        yield chunk
        left -= len(chunk)
        offset += chunk.nbytes


def _mapped(path: Path, record: np.dtype[Any]) -> npt.NDArray[Any]:
    used = _used(path, record.itemsize)
    if not used:
        return np.empty(0, record)
    return np.memmap(path, record, "r", offset=PROGRESS_BYTES, shape=(used,))


def _used(path: Path, record_bytes: int) -> int:
    """How many leading records are set. A writer fills the log from the front, so a search by halves does."""
    with path.open("rb", buffering=0) as file:
        low, high = 0, (os.fstat(file.fileno()).st_size - PROGRESS_BYTES) // record_bytes
        while low < high:
            middle = (low + high) // 2
            if _is_set(file.fileno(), PROGRESS_BYTES + middle * record_bytes):
                low = middle + 1
            else:
                high = middle
        return low


def _is_set(file: int, offset: int) -> bool:
    """Whether something is written there. A mapped hole would kill its reader on a full tmpfs."""
    return os.pread(file, 8, offset) != _UNSET
