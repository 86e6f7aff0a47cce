"""The raw logs of the workers: nanoseconds in memory-mapped files, which survive a killed worker.

The files are sparse: a generous capacity costs nothing until it is written. The runner creates them, a worker
maps the ones that it writes, and after the trial the runner reads them with numpy.

``sends``     one signed 8-byte integer per message, at the index of its sequence: when ``send()`` was called.
``returns``   the same for when ``send()`` returned; written by paced producers only.
``receipts``  one record per receipt, in the order of arrival: time, header (``NO_HEADER`` where the body is
              known not to be the producer's own), and of small messages the tail too, for later comparison.
``works``     one signed 8-byte integer per receipt, in the same order: when the work on it was over; negative
              where the handler raised. Written only in trials with work.

Each file begins with 16 bytes. The first 8 hold the writer's progress, for others to read while it runs. They
may lag behind by a block, to save a store for each message; a ``ReceiptWatch`` finds the last record itself.
The other 8 hold the length of a record.
"""

from __future__ import annotations

import errno
import mmap
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ipclab.errors import UsageError
from ipclab.trial.message import HEADER, HEADER_BYTES

PROGRESS_BYTES = 8
START_BYTES = 16
"""The offset of the first record."""
RECEIPT = np.dtype([("time_ns", "<i8"), ("header", HEADER)])
RECEIPT_BYTES = RECEIPT.itemsize
MOST_KEPT_BYTES = 128
"""Up to this size, copying a whole body into the log costs less than comparing its tail on arrival."""
_AHEAD = 20_000
"""The progress that a producer has noted may lag behind by one block, which is never larger."""
_TIME_BYTES = 8
_UNSET = bytes(_TIME_BYTES)
start = struct.Struct("<qq").pack
"""``start(progress, record_bytes)``: the first bytes of a log."""


def receipt_bytes(size_bytes: int) -> int:
    """Return the length in bytes of a receipt's record, for messages of this size."""
    return RECEIPT_BYTES + (size_bytes - HEADER_BYTES if size_bytes <= MOST_KEPT_BYTES else 0)


def receipt(record_bytes: int) -> np.dtype[Any]:
    """Return the dtype of a record of this length; it has a ``tail`` where there is room for one."""
    if record_bytes == RECEIPT_BYTES:
        return RECEIPT
    return np.dtype([*RECEIPT.descr, ("tail", f"V{record_bytes - RECEIPT_BYTES}")])


def receipt_packer(record_bytes: int) -> Callable[[mmap.mmap, int, int, bytes], None]:
    """Return ``pack(log, offset, time_ns, body)``, which cuts the body to the room in a record."""
    return struct.Struct(f"<q{record_bytes - _TIME_BYTES}s").pack_into


def create(path: Path, record_bytes: int, capacity: int) -> None:
    """Make an empty log for ``capacity`` records. Raise UsageError where there is no room for it."""
    try:
        with path.open("xb") as file:
            # Written, so that reading the progress never needs room that may be gone by then.
            file.write(start(0, record_bytes))
            file.truncate(START_BYTES + record_bytes * capacity)
    except OSError as error:
        if error.errno == errno.EFBIG:
            raise UsageError(
                "no room for the raw logs of a trial under the limit of file sizes: raise it "
                "(ulimit -f unlimited)"
            ) from error
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise UsageError(
            f"no room for the raw logs of a trial in {path.parent.parent}: make some, "
            "or set TMPDIR to another folder"
        ) from error


class RawLog:
    """A log that is mapped for writing, or for watching its progress. One writer; any number of watchers."""

    def __init__(self, path: Path, *, watch: bool = False) -> None:
        with path.open("r+b") as file:
            length = START_BYTES if watch else 0
            self.map = mmap.mmap(file.fileno(), length, mmap.MAP_SHARED)
            self.record_bytes = _record_bytes(file.fileno())
        view = memoryview(self.map)
        self.progress = view[:PROGRESS_BYTES].cast("q")
        self.stamps = view[START_BYTES:].cast("q") if self.record_bytes == _TIME_BYTES else None

    @property
    def capacity_bytes(self) -> int:
        """Return the number of bytes for records."""
        return len(self.map) - START_BYTES

    def close(self) -> None:
        """Unmap the log. No view of it may be used any more."""
        self.progress.release()
        if self.stamps is not None:
            self.stamps.release()
        self.map.close()


class ReceiptWatch:
    """The number of receipts that a consumer has logged, for another process to read while it runs."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self._map = mmap.mmap(self._file, PROGRESS_BYTES, mmap.MAP_SHARED, mmap.PROT_READ)
        self.progress = memoryview(self._map).cast("q")
        """The progress that the consumer has noted: never too high, and up to a block too low."""
        self._record_bytes = _record_bytes(self._file)
        self._most = (os.fstat(self._file).st_size - START_BYTES) // self._record_bytes
        self._count = 0

    def count(self) -> int:
        """Return the number of receipts so far; search on from the known count by doubling, then halving."""
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

    def newest(self, sent: Sequence[int], most: int) -> list[int]:
        """Return each producer's highest sequence among the last ``most`` receipts, -1 where there is none.

        ``sent`` is the number of messages each producer has sent; a few more may be in flight by now. A
        sequence far above that is ignored as foreign.
        """
        count = self.count()
        first = max(count - most, 0)
        raw = os.pread(
            self._file, (count - first) * self._record_bytes, START_BYTES + first * self._record_bytes
        )
        header = np.frombuffer(raw, receipt(self._record_bytes))["header"]
        found = []
        for producer, many in enumerate(sent):
            mine = header["sequence"][header["producer"] == producer]
            mine = mine[mine < many + _AHEAD]
            found.append(int(mine.max()) if len(mine) else -1)
        return found

    def close(self) -> None:
        """Close the log."""
        self.progress.release()
        self._map.close()
        os.close(self._file)

    def _is_set(self, place: int) -> bool:
        return _is_set(self._file, START_BYTES + place * self._record_bytes)


def read_stamps(path: Path) -> npt.NDArray[np.int64]:
    """Return the logged times of a ``sends`` or ``returns`` file up to the last written; 0 for none."""
    return _mapped(path, np.dtype(np.int64))


def read_receipts(path: Path) -> npt.NDArray[np.void]:
    """Return the records of a ``receipts`` file."""
    return _mapped(path, _receipt_of(path))


def receipt_chunks(path: Path, most: int) -> Iterator[npt.NDArray[np.void]]:
    """Yield the records of a ``receipts`` file, ``most`` at a time, so that they are never all in memory."""
    record = _receipt_of(path)
    left, offset = len(read_receipts(path)), START_BYTES
    while left:
        chunk = np.fromfile(path, record, min(most, left), offset=offset)
        yield chunk
        left -= len(chunk)
        offset += chunk.nbytes


def _mapped(path: Path, record: np.dtype[Any]) -> npt.NDArray[Any]:
    used = _used(path, record.itemsize)
    if not used:
        return np.empty(0, record)
    return np.memmap(path, record, "r", offset=START_BYTES, shape=(used,))


def _receipt_of(path: Path) -> np.dtype[Any]:
    with path.open("rb", buffering=0) as file:
        return receipt(_record_bytes(file.fileno()))


def _record_bytes(file: int) -> int:
    return int.from_bytes(os.pread(file, START_BYTES, 0)[PROGRESS_BYTES:], "little")


def _used(path: Path, record_bytes: int) -> int:
    """Return how many leading records are set.

    A writer fills the log from the front, so a binary search is enough.
    """
    with path.open("rb", buffering=0) as file:
        low, high = 0, (os.fstat(file.fileno()).st_size - START_BYTES) // record_bytes
        while low < high:
            middle = (low + high) // 2
            if _is_set(file.fileno(), START_BYTES + middle * record_bytes):
                low = middle + 1
            else:
                high = middle
        return low


def _is_set(file: int, offset: int) -> bool:
    """Return whether a record is set, without mmap: a hole on a full tmpfs would kill the reader."""
    return os.pread(file, _TIME_BYTES, offset) != _UNSET
