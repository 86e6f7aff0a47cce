"""The example of docs/writing-a-backend.md: installed as a package, conforming, measured like any other."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from ipclab.results.result import Result

CHECKOUT = Path(__file__).parents[2]
EXAMPLE = CHECKOUT / "docs" / "examples" / "sqlite-backend"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a process that finds the example among the installed packages."""
    target = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
    if importlib.util.find_spec("hatchling"):
        pip += ["--no-build-isolation", "--no-index"]
    # From a copy, so that building leaves nothing in the checkout.
    copy = tmp_path_factory.mktemp("source")
    for file in ("pyproject.toml", "ipclab_sqlite.py"):
        (copy / file).write_text((EXAMPLE / file).read_text())
    answer = subprocess.run([*pip, "--target", target, copy], capture_output=True, text=True, timeout=100)
    assert answer.returncode == 0, answer.stderr
    return os.environ | {"PYTHONPATH": str(target), "IPCLAB_STATE_DIR": str(target / "state")}


def run(
    installed: Mapping[str, str], *arguments: str | Path, timeout_s: float = 100
) -> subprocess.CompletedProcess[str]:
    """Run a module of Python in that environment."""
    return subprocess.run(
        [sys.executable, "-m", *arguments],
        cwd=CHECKOUT,
        env=installed,
        capture_output=True,
        text=True,
        timeout=timeout_s,
    )


def ipclab(installed: Mapping[str, str], *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the command line in that environment."""
    program = "from ipclab.cli import main; main()"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments],
        env=installed,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_an_installed_backend_is_listed_with_what_it_declares(installed: Mapping[str, str]) -> None:
    answer = ipclab({**installed, "COLUMNS": "200"}, "backends")
    assert answer.returncode == 0, answer.stderr
    (line,) = [line for line in answer.stdout.splitlines() if line.startswith("my-sqlite ")]
    assert re.match(r"my-sqlite +at-most-once, polling +consumer crash +per-producer +disk ", line), line


@pytest.mark.timeout(300)
def test_it_passes_the_conformance_suite(installed: Mapping[str, str]) -> None:
    answer = run(
        installed,
        *("pytest", "tests/conformance", "--backend", "my-sqlite"),
        *("--quiet", "-p", "no:cacheprovider"),
        timeout_s=280,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    # The others are about what it does not declare: fan-out, acknowledgements, a largest message, a server.
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed, answer.stdout
    assert int(passed[1]) >= 10, answer.stdout


def test_it_is_measured_by_an_experiment_of_the_lab(installed: Mapping[str, str], tmp_path: Path) -> None:
    answer = ipclab(
        installed,
        *(
            "run",
            "throughput",
            "--backend",
            "my-sqlite",
            "--size",
            "64",
            "--producers",
            "1",
            "--consumers",
            "1",
        ),
        *("--repeats", "1", "--duration", "0.3", "--warmup", "0.1"),
        *("--format", "json", "--results", tmp_path),
    )
    assert answer.returncode == 0, answer.stderr
    (stored,) = tmp_path.glob("throughput/*/result.json")
    result = msgspec.json.decode(stored.read_bytes(), type=Result)
    assert result.environment.libraries["ipclab-sqlite"] == "0.1.0"
    (trial,) = result.trials
    assert (trial.outcome, trial.guarantees["durability"]) == ("finished", "disk")
    assert trial.ledger is not None
    assert trial.ledger.verdict == "valid"
    assert trial.ledger.received == trial.ledger.attempted > 0


def test_it_counts_among_the_channels_of_a_run_that_names_none(installed: Mapping[str, str]) -> None:
    program = "from ipclab.experiment import Request; print(*Request().channels())"
    answer = subprocess.run(
        [sys.executable, "-c", program], env=installed, capture_output=True, text=True, timeout=60
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split()[-1] == "my-sqlite"
