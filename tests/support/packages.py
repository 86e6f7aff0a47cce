"""The packages of the project, built from the checkout, and installed for the processes of a test only."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path

from ipclab.brokers import kinds
from tests.support.documents import CHECKOUT


def build(what: str, source: Path, target: Path) -> Path:
    """Build the ``wheel`` or the ``sdist`` of the project in ``source`` into ``target``; return the file."""
    before = {*target.glob("*")}
    built = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", what, "--directory", target],
        cwd=source,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert built.returncode == 0, built.stderr
    (made,) = {*target.glob("*")} - before
    return made


def unpack(sdist: Path, target: Path) -> Path:
    """Unpack a source distribution into ``target``; return its only folder."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    (folder,) = target.iterdir()
    return folder


def install(wheel: Path, target: Path) -> dict[str, str]:
    """Install the wheel into ``target``; return the environment of a process that finds it there.

    Its dependencies come from the environment of the tests, and no server from the user's variables.
    """
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-index"]
    done = subprocess.run(
        [*pip, "--no-deps", "--target", target, wheel], capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    kept = {name: value for name, value in os.environ.items() if name not in kinds.variables()}
    return {**kept, "PYTHONPATH": str(target), "IPCLAB_STATE_DIR": str(target / "state")}


def tracked() -> list[str]:
    """Return the files of the checkout that git tracks; none where the tests run without a repository."""
    listed = subprocess.run(["git", "ls-files"], cwd=CHECKOUT, capture_output=True, text=True, timeout=60)
    return listed.stdout.splitlines()
