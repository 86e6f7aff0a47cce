"""The example packages of the documentation, installed where only the processes of a test find them."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.documents import CHECKOUT


def install(example: Path, target: Path, copy: Path) -> Mapping[str, str]:
    """Install a package into ``target``; return the environment of a process that finds it there."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if importlib.util.find_spec("hatchling"):
        pip += ["--no-build-isolation", "--no-index"]
    # From a copy, so that building leaves nothing in the checkout.
    for file in (*example.glob("*.py"), example / "pyproject.toml"):
        (copy / file.name).write_text(file.read_text())
    answer = subprocess.run([*pip, "--target", target, copy], capture_output=True, text=True, timeout=100)
    assert answer.returncode == 0, answer.stderr
    return os.environ | {"PYTHONPATH": str(target), "IPCLAB_STATE_DIR": str(target / "state")}


def python(
    environ: Mapping[str, str], *arguments: str | Path, timeout_s: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run Python in that environment, in the checkout."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=CHECKOUT,
        env=environ,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def ipclab(
    environ: Mapping[str, str], *arguments: str | Path, timeout_s: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run the command line in that environment."""
    return python(environ, "-c", "from ipclab.cli import main; main()", *arguments, timeout_s=timeout_s)
