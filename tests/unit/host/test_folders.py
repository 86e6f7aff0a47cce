"""What a killed lab left of its raw logs is deleted, and nothing else."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import psutil
import pytest

from ipclab.host.folders import claim_folder, sweep, trial_folder


@pytest.fixture(autouse=True)
def own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("made", [trial_folder, claim_folder])
def test_the_folder_of_a_process_that_was_killed_within_it_is_deleted_by_the_next_sweep(
    tmp_path: Path, made: Callable[[], AbstractContextManager[Path]]
) -> None:
    pid = os.fork()
    if not pid:
        with made() as folder:
            (folder / "output").touch()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)
    assert len(list(tmp_path.iterdir())) == 1
    sweep()
    assert list(tmp_path.iterdir()) == []


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
        signal.raise_signal(signal.SIGINT)
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


OWN = "from ipclab.host import folders; import multiprocessing as m; folders.own_temporary_files()\n"


def killed_lab(program: str, tmp: Path) -> None:
    """Run this in a process that takes its temporary files for its own, and kill it and all its children."""
    code = f"{OWN}{program}\nprint('ready', flush=True)\nimport time; time.sleep(60)"
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env=os.environ | {"TMPDIR": str(tmp)},
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as lab:
        assert lab.stdout is not None
        try:
            assert lab.stdout.readline() == b"ready\n"
        finally:
            os.killpg(lab.pid, signal.SIGKILL)


@pytest.fixture
def temporary(short_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, with a path that leaves room for sockets."""
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))
    return short_folder


def test_sockets_and_semaphores_of_a_lab_whose_whole_group_was_killed_are_deleted(
    temporary: Path, tmp_path: Path
) -> None:
    name = tmp_path / "name"
    makes_both = "s = m.get_context('spawn').Semaphore(); f = m.Manager(); "
    killed_lab(f"{makes_both}open({str(name)!r}, 'w').write(s._semlock.name)", temporary)
    semaphore = Path(f"/dev/shm/sem.{name.read_text().removeprefix('/')}")
    assert any(path.is_socket() for path in temporary.rglob("*"))
    assert semaphore.exists()
    sweep()
    assert list(temporary.iterdir()) == []
    assert not semaphore.exists()


def test_a_manager_starts_under_a_temporary_folder_with_a_long_path(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    long.mkdir()
    killed_lab("assert m.Manager().dict({1: 2})[1] == 2", long)
    assert list(long.iterdir()) == []
    sweep()


def test_temporary_files_of_a_lab_that_ends_are_deleted(short_folder: Path) -> None:
    env = os.environ | {"TMPDIR": str(short_folder)}
    subprocess.run([sys.executable, "-c", OWN + "m.Manager()"], env=env, check=True)
    assert list(short_folder.iterdir()) == []


def test_the_folder_of_a_running_lab_stays_when_the_clock_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    step_s = 7200
    with trial_folder() as folder:
        really = psutil.Process.create_time
        monkeypatch.setattr(psutil.Process, "create_time", lambda process: really(process) + step_s)
        sweep()
        assert folder.is_dir()
