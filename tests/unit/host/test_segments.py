"""No segment of shared memory is left, however the process ends that made it."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab.host import folders, segments
from ipclab.host.shared_memory import untracked


@pytest.fixture(autouse=True)
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The token of a lab of this test alone: the keeper of another test may still look for its segments."""
    token = f"unit{uuid.uuid4().hex[:8]}"
    begin = segments.of_semaphores(f"ipclab-{token}")
    monkeypatch.setattr(segments, "prefix", lambda: begin)
    yield token
    segments.sweep(begin)


def left() -> list[str]:
    return [path.name for path in segments.FOLDER.glob(f"{segments.prefix()}*")]


def test_what_is_left_at_the_end_is_unlinked() -> None:
    with segments.kept():
        untracked(f"{segments.prefix()}a", 4096).close()
        assert left() == [f"{segments.prefix()}a"]
    assert left() == []


def test_the_keeper_of_a_process_that_was_killed_unlinks_what_it_left() -> None:
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        with segments.kept():
            untracked(f"{segments.prefix()}a", 4096).close()
            os.write(writing, b"made")
            signal.pause()
    assert os.read(reading, 4) == b"made"
    assert left() == [f"{segments.prefix()}a"]
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    deadline = time.monotonic() + 60
    while left() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left() == []
    os.close(reading)
    os.close(writing)


def test_a_keeper_holds_no_file_open_but_its_pipe() -> None:
    """Whoever waits for the end of the lab's output must not wait for the keeper of a killed one."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        with segments.kept():
            os.kill(os.getpid(), signal.SIGKILL)
    os.close(writing)
    os.waitpid(pid, 0)
    assert select.select([reading], [], [], 60)[0]
    assert os.read(reading, 1) == b""
    os.close(reading)


def test_the_segments_of_a_killed_lab_are_unlinked_by_the_next_sweep(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lab: str
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "_SHORT_FOLDERS", (str(tmp_path),))
    name = f"{segments.prefix()}b"
    pid = os.fork()
    if not pid:
        folders._make(tmp_path, folders._PREFIX, lab, semaphores=f"ipclab-{lab}")
        untracked(name, 4096).close()
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert left() == [name]
    folders.sweep()
    assert left() == []
