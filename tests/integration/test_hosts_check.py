"""``ipclab hosts check``, and the copy of ipclab that ``--push`` brings to a machine without one."""

from __future__ import annotations

import os
import shlex
import site
import subprocess
import sys
from pathlib import Path

import pytest

from ipclab import __version__


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """An interpreter that has all libraries, and no ipclab."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for folder in map(Path, site.getsitepackages()):
        for entry in folder.iterdir():
            if "ipclab" not in entry.name and entry.suffix != ".pth":
                (libraries / entry.name).symlink_to(entry)
    interpreter = os.path.realpath(sys.executable)
    return shlex.join(["env", f"PYTHONPATH={libraries}", interpreter, "-S"])


def check(*hosts: str, push: bool = False) -> subprocess.CompletedProcess[str]:
    named = [word for one in hosts for word in ("--host", f"exec:{one}")]
    return subprocess.run(
        [sys.executable, "-m", "ipclab", "hosts", "check", *named, *(["--push"] if push else [])],
        env={**os.environ, "REDIS_URL": "redis://127.0.0.1:1/0", "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_what_a_machine_lacks_is_said_with_the_command_that_helps(bare: str) -> None:
    found = check(sys.executable, bare, "/nonexistent")
    assert found.returncode == 2
    lines = [line.split() for line in found.stdout.splitlines()]
    assert lines[0][:3] == ["machine", "Python", "ipclab"]
    assert [line[2] for line in lines[1:]] == [__version__, "–", "–"]
    assert lines[1][-2:] == ["same", "no"]
    assert "machine 1 does not reach redis: " in found.stderr
    assert "machine 2 has no ipclab: run there " in found.stderr
    assert f"-m pip install ipclab=={__version__}, or add --push" in found.stderr
    assert "machine 3 cannot be reached: " in found.stderr


def test_push_brings_this_ipclab_to_a_machine_without_one(bare: str) -> None:
    found = check(bare, push=True)
    assert found.stdout.splitlines()[1].split()[2] == __version__
    # All that is left to say is that nothing listens at the URL of Redis.
    assert [line for line in found.stderr.splitlines() if "redis" not in line] == []
