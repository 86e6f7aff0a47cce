"""A machine that lacks what every run needs is told so in one line, and ``doctor`` says no "yes"."""

from __future__ import annotations

import _multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from ipclab.cli import main
from ipclab.host import needs
from tests.support.program import ONE_TRIAL, TIMEOUT_S, Ipclab

HOSTILE = "open('executed', 'w').close()\nraise SystemExit('a module of the current folder was executed')\n"


def _no_proc(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(needs, "_OWN_STAT", Path("/dev/null/stat"))


def _no_temporary_files(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tempfile, "tempdir", "/dev/null/no-folder")


def _no_semaphores(patch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(38, "Function not implemented")

    patch.setattr(_multiprocessing, "SemLock", refuse)


@pytest.mark.parametrize(
    ("lacking", "what", "advice"),
    [
        (_no_proc, "no /proc", "mount it"),
        (_no_temporary_files, "no temporary file", "TMPDIR"),
        (_no_semaphores, "no semaphores", "/dev/shm"),
    ],
)
def test_a_machine_on_which_every_run_fails_is_told_so_in_one_line(
    lacking: Callable[[pytest.MonkeyPatch], None],
    what: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    lacking(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main(["doctor"])
    doctor = capsys.readouterr().out
    assert ended.value.code == 3
    assert what in doctor
    assert "yes" not in doctor
    with pytest.raises(SystemExit) as ended:
        main(list(ONE_TRIAL))
    (line,) = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert what in line
    assert advice in line
    assert "bug" not in line


def test_the_doctor_tries_every_start_method(ipclab: Ipclab, tmp_path: Path) -> None:
    assert ipclab("doctor").out.count("yes") >= 2
    # The socket of a fork server has a path in the folder for temporary files, of about 100 bytes at most.
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    (line,) = (
        row for row in ipclab("doctor", TMPDIR=str(folder)).out.splitlines() if "method forkserver" in row
    )
    # Python 3.14 chooses another folder by itself.
    starts = (
        "import multiprocessing\n"
        "process = multiprocessing.get_context('forkserver').Process(target=int)\n"
        "process.start()\n"
        "process.join()"
    )
    env = {**os.environ, "TMPDIR": str(folder)}
    failed = subprocess.run([sys.executable, "-c", starts], env=env, capture_output=True).returncode
    assert ("no: " in line) == bool(failed)
    assert ("yes" in line) == (not failed)


def test_optimised_python_keeps_the_help_of_every_command() -> None:
    program = (
        "import click\nfrom ipclab.cli import COMMANDS, cli\ncontext = click.Context(cli)\n"
        "for name in COMMANDS:\n"
        "    print(name, (cli.get_command(context, name).help or '')[:40])\n"
        "print('cli', (cli.help or '')[:40])"
    )
    for options in ([], ["-OO"]):
        ended = subprocess.run(
            [sys.executable, *options, "-c", program], capture_output=True, text=True, timeout=TIMEOUT_S
        )
        lines = ended.stdout.splitlines()
        assert len(lines) > 10
        assert all(len(line.split()) > 3 for line in lines), ended.stdout + ended.stderr


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_a_module_of_the_current_folder_is_not_executed(
    start_method: str, ipclab: Ipclab, here: Path
) -> None:
    for name in ("multiprocessing", "signal", "contextlib"):
        (here / f"{name}.py").write_text(HOSTILE)
    ended = ipclab(*ONE_TRIAL, "--start-method", start_method)
    assert ended.code == 0, ended.err
    assert not (here / "executed").exists()


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_the_modules_beside_a_users_program_are_still_found(start_method: str, tmp_path: Path) -> None:
    beside, current = tmp_path / "beside", tmp_path / "current"
    beside.mkdir()
    current.mkdir()
    (current / "multiprocessing.py").write_text(HOSTILE)
    (beside / "mine.py").write_text("def work(link):\n    link.send('worked')\n")
    (beside / "program.py").write_text(
        "import mine\nfrom ipclab.host.start_methods import context\n"
        "if __name__ == '__main__':\n"
        f"    made = context({start_method!r})\n    ours, theirs = made.Pipe()\n"
        "    process = made.Process(target=mine.work, args=(theirs,))\n    process.start()\n"
        "    theirs.close()\n    print(ours.recv())\n    process.join()\n"
    )
    ended = subprocess.run(
        [sys.executable, str(beside / "program.py")],
        cwd=current,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert ended.stdout == "worked\n", ended.stderr
    assert not (current / "executed").exists()
