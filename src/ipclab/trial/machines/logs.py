"""The raw logs of a trial over several machines: their progress, their records, and the mapping of clocks.

Logs stay on the machine that writes them. Until the end the others have only their progress. What is shipped
of a receipt is its time and its header, 24 bytes; the tail was compared where it arrived.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ipclab.hosts.clock_bound import ClockMap
from ipclab.trial import rawlog
from ipclab.trial.message import NO_HEADER, Originals
from ipclab.trial.rawlog import RECEIPT, RECEIPT_BYTES, START_BYTES, ReceiptWatch

KINDS = ("sends", "returns", "receipts", "works")
_CHUNK = 200_000
_NOBODY = np.frombuffer(NO_HEADER, RECEIPT["header"])[0]


def owner(log: str) -> str:
    """Return the name of the worker that writes this log."""
    return log.rpartition(".")[0]


class Watches:
    """The progress of the logs in a folder, by name. Close it at the end."""

    def __init__(self, folder: Path, names: frozenset[str] | None = None) -> None:
        """Watch all logs of these workers, or of all workers."""
        self._watches = {
            path.name: ReceiptWatch(path)
            for kind in KINDS
            for path in sorted(folder.glob(f"*.{kind}"))
            if names is None or owner(path.name) in names
        }
        self._told: dict[str, int] = dict.fromkeys(self._watches, 0)

    def moved(self) -> dict[str, int]:
        """Return the progress that has changed since the last call, of sends and receipts only."""
        found = {}
        for name, watch in self._watches.items():
            if name.endswith((".sends", ".receipts")):
                count = watch.progress[0]
                if count <= self._told[name]:
                    # What is noted may lag behind by a block.
                    count = watch.count()
                if count > self._told[name]:
                    found[name] = self._told[name] = count
        return found

    def counts(self) -> dict[str, int]:
        """Return the number of records of every log."""
        return {name: watch.count() for name, watch in self._watches.items()}

    def close(self) -> None:
        """Close all logs."""
        for watch in self._watches.values():
            watch.close()
        self._watches.clear()


class Mirrors:
    """The progress of logs of other machines, written into empty logs here for the workers to read."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._maps: dict[str, mmap.mmap] = {}

    def set(self, counts: Mapping[str, int]) -> None:
        """Enter these counts; one never becomes smaller."""
        for name, count in counts.items():
            if name not in self._maps:
                with (self._folder / name).open("r+b") as file:
                    self._maps[name] = mmap.mmap(file.fileno(), rawlog.PROGRESS_BYTES)
            words = memoryview(self._maps[name]).cast("q")
            words[0] = max(words[0], count)
            words.release()

    def close(self) -> None:
        """Close all logs."""
        for one in self._maps.values():
            one.close()
        self._maps.clear()


def records(path: Path, first: int, count: int, originals: Originals) -> Iterator[tuple[int, bytes]]:
    """Yield the records ``first`` to ``count`` of a log as they are shipped, with their first numbers."""
    with path.open("rb", buffering=0) as file:
        record_bytes = int.from_bytes(
            os.pread(file.fileno(), START_BYTES, 0)[rawlog.PROGRESS_BYTES :], "little"
        )
        while first < count:
            many = min(_CHUNK, count - first)
            raw = os.pread(file.fileno(), many * record_bytes, START_BYTES + first * record_bytes)
            yield first, raw if path.suffix != ".receipts" else _without_tails(raw, record_bytes, originals)
            first += many


def _without_tails(raw: bytes, record_bytes: int, originals: Originals) -> bytes:
    if record_bytes == RECEIPT_BYTES:
        return raw
    whole = np.frombuffer(raw, rawlog.receipt(record_bytes))
    bare = np.empty(len(whole), RECEIPT)
    bare["time_ns"], bare["header"] = whole["time_ns"], whole["header"]
    bare["header"][~originals.are_intact(whole)] = _NOBODY
    return bare.tobytes()


def enter(folder: Path, log: str, first: int, shipped: bytes) -> None:
    """Write shipped records into the log of the same name here."""
    record_bytes = RECEIPT_BYTES if log.endswith(".receipts") else 8
    with (folder / log).open("r+b", buffering=0) as file:
        os.pwrite(file.fileno(), shipped, START_BYTES + first * record_bytes)


def map_times(path: Path, clock: ClockMap) -> None:
    """Replace the times of a log by those of the reference's clock."""
    receipts = path.suffix == ".receipts"
    count = len(rawlog.read_receipts(path) if receipts else rawlog.read_stamps(path))
    if not count or clock.before is None:
        return
    whole: Any = np.memmap(path, RECEIPT if receipts else np.dtype(np.int64), "r+", START_BYTES, (count,))
    times: npt.NDArray[np.int64] = whole["time_ns"] if receipts else whole
    for first in range(0, count, _CHUNK):
        part = times[first : first + _CHUNK]
        # The handler's failures have negative times.
        mapped = clock.to_reference(np.abs(part))
        part[:] = np.where(part < 0, -mapped, mapped)
    whole.flush()
