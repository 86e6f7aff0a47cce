"""What a killed lab left of its raw logs is deleted, and nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from ipclab.host.folders import sweep, trial_folder


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_the_folder_of_a_lab_that_is_gone_is_deleted(tmp_path: Path) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    left = tmp_path / f"ipclab-trial-{gone.pid}-abc123"
    left.mkdir()
    (left / "producer-0.sends").write_bytes(bytes(8))
    sweep()
    assert not left.exists()


def test_the_folder_of_a_running_lab_stays() -> None:
    with trial_folder() as folder:
        sweep()
        assert folder.is_dir()


def test_an_interruption_while_the_folder_is_deleted_waits_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    really = shutil.rmtree

    def interrupted(folder: Path, **options: bool) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        really(folder, **options)

    monkeypatch.setattr(shutil, "rmtree", interrupted)
    with pytest.raises(KeyboardInterrupt), trial_folder() as folder:
        (folder / "producer-0.sends").write_bytes(bytes(8))
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_an_earlier_process_with_the_same_pid_is_deleted(tmp_path: Path) -> None:
    left = tmp_path / f"ipclab-trial-{os.getpid()}-abc123"
    left.mkdir()
    os.utime(left, (1, 1))
    sweep()
    assert not left.exists()


def test_what_is_named_otherwise_stays(tmp_path: Path) -> None:
    for name in ("ipclab-trial-notes", "ipclab-trial-x-y", "other"):
        (tmp_path / name).mkdir()
    sweep()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "ipclab-trial-notes",
        "ipclab-trial-x-y",
        "other",
    ]
