"""The logs of workers on other machines."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ipclab.hosts.clock_bound import ClockMap, OffsetBound
from ipclab.trial import rawlog
from ipclab.trial.machines.logs import Mirrors, Watches, enter, map_times, records
from ipclab.trial.message import NO_HEADER, Originals, Stamper, tail
from ipclab.trial.rawlog import RECEIPT_BYTES, ReceiptWatch

SIZE = 64
OFFSET = ClockMap(before=OffsetBound(at_ns=0, low_ns=1000, high_ns=1000, echoes=1, shortest_ns=1))


def consumer_log(folder: Path, bodies: list[bytes]) -> Path:
    """Write the log of a consumer as it is on its own machine, with the tails of small messages."""
    path = folder / "consumer-0.receipts"
    rawlog.create(path, rawlog.receipt_bytes(SIZE), 10)
    log = rawlog.RawLog(path)
    pack = rawlog.receipt_packer(log.record_bytes)
    for i, body in enumerate(bodies):
        pack(log.map, rawlog.START_BYTES + i * log.record_bytes, 5000 + i, body)
    log.progress[0] = len(bodies)
    log.close()
    return path


def test_a_receipt_is_shipped_in_24_bytes_and_its_tail_compared_before(
    tmp_path: Path,
) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    here.mkdir()
    own = tail("seed", 0, SIZE)
    bodies = Stamper(0, own, 3).stamp(0, 3)
    bodies[1] = bodies[1][:-1] + b"?"
    path = consumer_log(there, bodies)
    rawlog.create(here / path.name, RECEIPT_BYTES, 10)
    for first, shipped in records(path, 0, 3, Originals([own], 0)):
        assert len(shipped) == 3 * RECEIPT_BYTES == 72
        enter(here, path.name, first, shipped)
    found = rawlog.read_receipts(here / path.name)
    assert list(found["time_ns"]) == [5000, 5001, 5002]
    assert [one.tobytes() == NO_HEADER for one in found["header"]] == [False, True, False]


def test_times_are_mapped_to_the_clock_of_the_trial(tmp_path: Path) -> None:
    path = consumer_log(tmp_path, Stamper(0, tail("seed", 0, SIZE), 2).stamp(0, 2))
    rawlog.create(tmp_path / "producer-0.sends", 8, 4)
    enter(tmp_path, "producer-0.sends", 0, np.array([3000, 4000], np.int64).tobytes())
    map_times(tmp_path / "producer-0.sends", OFFSET)
    assert list(rawlog.read_stamps(tmp_path / "producer-0.sends")) == [2000, 3000]
    assert path.exists()


def test_a_mirrored_log_has_the_progress_and_no_records(tmp_path: Path) -> None:
    rawlog.create(tmp_path / "consumer-0.receipts", RECEIPT_BYTES, 100)
    mirrors = Mirrors(tmp_path)
    mirrors.set({"consumer-0.receipts": 7})
    mirrors.set({"consumer-0.receipts": 5})
    watch = ReceiptWatch(tmp_path / "consumer-0.receipts")
    assert watch.count() == 7
    watch.close()
    mirrors.close()


def test_progress_is_told_once_and_only_that_of_sends_and_receipts(tmp_path: Path) -> None:
    consumer_log(tmp_path, Stamper(0, tail("seed", 0, SIZE), 2).stamp(0, 2))
    rawlog.create(tmp_path / "producer-0.returns", 8, 4)
    watches = Watches(tmp_path)
    assert watches.moved() == {"consumer-0.receipts": 2}
    assert watches.moved() == {}
    assert watches.counts() == {"consumer-0.receipts": 2, "producer-0.returns": 0}
    watches.close()
