"""Raw logs: what was logged outlives a killed worker, and what was half logged is not taken for whole."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.errors import UsageError
from ipclab.trial import rawlog
from ipclab.trial.message import HEADER_BYTES, stamp, tail
from ipclab.trial.rawlog import RECEIPT_BYTES, START_BYTES, RawLog, receipt_bytes, receipt_packer

WRITER = """
import sys
from pathlib import Path
from ipclab.trial.rawlog import START_BYTES, RawLog, receipt_packer
folder, count, size = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
sends, receipts = RawLog(folder / "sends"), RawLog(folder / "receipts")
pack = receipt_packer(receipts.record_bytes)
for i in range(count):
    sends.stamps[i] = 1000 + i
    body = i.to_bytes(16, "little") + b"tail" * size
    pack(receipts.map, START_BYTES + i * receipts.record_bytes, 2000 + i, body)
    sends.progress[0] = receipts.progress[0] = i + 1
print("written", flush=True)
while True:
    sys.stdin.read(1)
"""


@pytest.mark.parametrize("size", [16, 17, 64, 128, 129])
def test_records_survive_a_writer_that_is_killed(tmp_path: Path, size: int) -> None:
    rawlog.create(tmp_path / "sends", 8, 10_000)
    rawlog.create(tmp_path / "receipts", receipt_bytes(size), 10_000)
    command = [sys.executable, "-c", WRITER, str(tmp_path), "777", str(size)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"written\n"
        writer.kill()
    assert writer.returncode == -signal.SIGKILL
    assert rawlog.read_stamps(tmp_path / "sends").tolist() == list(range(1000, 1777))
    receipts = rawlog.read_receipts(tmp_path / "receipts")
    assert receipts["time_ns"].tolist() == list(range(2000, 2777))
    assert [header.tobytes() for header in receipts["header"]] == [
        i.to_bytes(16, "little") for i in range(777)
    ]
    if 16 < size <= rawlog.MOST_KEPT_BYTES:
        assert {kept.tobytes() for kept in receipts["tail"]} == {(b"tail" * size)[: size - 16]}
    else:
        assert receipts.dtype == rawlog.RECEIPT


def test_a_watcher_sees_how_far_the_writer_has_come(tmp_path: Path) -> None:
    rawlog.create(tmp_path / "log", 8, 10)
    writer, watcher = RawLog(tmp_path / "log"), RawLog(tmp_path / "log", watch=True)
    writer.progress[0] = 7
    assert watcher.progress[0] == 7
    writer.close()
    watcher.close()


def test_a_last_record_whose_time_was_not_written_is_not_counted(tmp_path: Path) -> None:
    rawlog.create(tmp_path / "log", RECEIPT_BYTES, 10)
    log = RawLog(tmp_path / "log")
    body = stamp(0, 0, 1, tail(1, 0, 64))
    receipt_packer(RECEIPT_BYTES)(log.map, START_BYTES, 1, body)
    torn = START_BYTES + RECEIPT_BYTES
    log.map[torn + 8 : torn + 8 + HEADER_BYTES] = body[:HEADER_BYTES]
    log.close()
    receipts = rawlog.read_receipts(tmp_path / "log")
    assert len(receipts) == 1
    assert receipts["header"][0].tobytes() == body[:HEADER_BYTES]


def test_a_file_that_ends_in_the_middle_of_a_record_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "log"
    rawlog.create(path, RECEIPT_BYTES, 3)
    log = RawLog(path)
    for i in range(3):
        receipt_packer(RECEIPT_BYTES)(log.map, START_BYTES + i * RECEIPT_BYTES, i + 1, bytes(16))
    log.close()
    os.truncate(path, START_BYTES + 2 * RECEIPT_BYTES + 5)
    assert rawlog.read_receipts(path)["time_ns"].tolist() == [1, 2]


@given(count=st.integers(0, 20), capacity=st.integers(20, 40))
def test_what_was_logged_is_read_back_and_no_more(
    tmp_path_factory: pytest.TempPathFactory, count: int, capacity: int
) -> None:
    path = tmp_path_factory.mktemp("logs") / "log"
    rawlog.create(path, 8, capacity)
    log = RawLog(path)
    assert log.stamps is not None
    assert log.capacity_bytes == 8 * capacity
    for i in range(count):
        log.stamps[i] = 5 + i
    log.close()
    assert rawlog.read_stamps(path).tolist() == list(range(5, 5 + count))


def test_a_log_is_never_written_over_another(tmp_path: Path) -> None:
    rawlog.create(tmp_path / "log", 8, 10)
    with pytest.raises(FileExistsError):
        rawlog.create(tmp_path / "log", 8, 10)


def test_a_generous_capacity_takes_no_room_on_the_disk(tmp_path: Path) -> None:
    rawlog.create(tmp_path / "log", RECEIPT_BYTES, 50_000_000)
    assert (tmp_path / "log").stat().st_blocks * 512 < 100_000


def test_a_log_for_which_there_is_no_room_is_refused_in_words(tmp_path: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # What a full disk does to a sparse file shows when it is written; a limit shows at once, everywhere.
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
    try:
        with pytest.raises(UsageError, match="no room for the raw logs of a trial") as caught:
            rawlog.create(tmp_path / "log", RECEIPT_BYTES, 1 << 20)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "ulimit -f unlimited" in str(caught.value)  # and not that the disk is full
