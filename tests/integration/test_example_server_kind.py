"""The second example of docs/writing-a-backend.md: a kind of server of its own, and a backend on it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest

from ipclab.results.result import Result
from tests.support.documents import CHECKOUT
from tests.support.installed import install, ipclab, python

EXAMPLE = CHECKOUT / "docs" / "examples" / "tiny-broker"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, str]:
    """The environment of a process that finds the example among the installed packages."""
    return install(EXAMPLE, tmp_path_factory.mktemp("installed"), tmp_path_factory.mktemp("source"))


def run(installed: Mapping[str, str], results: Path, *arguments: str) -> Result:
    """The stored result of a run of the tiny queue."""
    answer = ipclab(
        installed,
        "run",
        *arguments,
        "-b",
        "tiny-queue",
        "--repeats",
        "1",
        "--results",
        results,
        timeout_s=200,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
    (stored,) = results.glob("*/*/result.json")
    return msgspec.json.decode(stored.read_bytes(), type=Result)


def test_a_kind_of_an_installed_package_is_listed_beside_the_labs_own(installed: Mapping[str, str]) -> None:
    answer = ipclab(installed, "backends")
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"^tiny +yes, native:", answer.stdout, re.MULTILINE), answer.stdout


def test_a_kind_of_an_installed_package_is_started_measured_and_ended(
    installed: Mapping[str, str], tmp_path: Path
) -> None:
    sizes = ("--size", "64", "--producers", "1", "--consumers", "1", "--duration", "0.3", "--warmup", "0.1")
    result = run(installed, tmp_path, "throughput", *sizes)
    (trial,) = result.trials
    assert (trial.outcome, trial.ledger and trial.ledger.verdict) == ("finished", "valid")
    (broker,) = result.brokers
    assert (broker.kind, broker.provider, broker.version) == ("tiny", "native", "1.0")
    assert trial.cost is not None
    assert trial.cost.broker_rss_bytes
    assert list(Path(installed["IPCLAB_STATE_DIR"]).glob("tiny-*")) == []


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_the_broker_of_a_foreign_kind_is_killed_and_its_replies_are_dropped(
    installed: Mapping[str, str], tmp_path: Path
) -> None:
    faults = ("--fault", "kill", "--fault", "drop-reply", "--fault", "fill-memory")
    only = ("--target", "broker", "--target", "producer")
    result = run(installed, tmp_path, "crash", *faults, *only)
    cells = {str(trial.spec.fault): trial for trial in result.trials}
    assert {trial.outcome for trial in cells.values()} == {"finished"}
    killed = cells["kill broker, busy"].safety
    assert killed is not None
    assert (killed.verdict, killed.refused) == ("valid", "")
    dropped = cells["drop-reply producer, busy"].safety
    assert dropped is not None
    assert (dropped.verdict, dropped.refused) == ("valid", "")
    filled = cells["fill-memory broker, busy"].safety
    assert filled is not None
    assert "no memory limit" in filled.refused


@pytest.mark.timeout(300)
def test_a_backend_on_a_foreign_kind_passes_the_conformance_suite(installed: Mapping[str, str]) -> None:
    suite = ("tests/conformance", "--backend", "tiny-queue", "--quiet", "-p", "no:cacheprovider")
    answer = python(installed, "-m", "pytest", *suite, timeout_s=280)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed, answer.stdout
    assert int(passed[1]) >= 14, answer.stdout
    assert "skipped" not in answer.stdout, answer.stdout


def test_its_server_is_named_by_a_variable_of_its_own(installed: Mapping[str, str]) -> None:
    answer = ipclab({**installed, "TINY_URL": "http://u:hidden@host"}, "run", "-b", "tiny-queue")
    assert answer.returncode == 2
    assert "TINY_URL: not a URL of the tiny broker; write it like tiny://host:7070" in answer.stderr
    assert "hidden" not in answer.stderr


def test_a_kind_that_cannot_be_imported_harms_no_other(installed: Mapping[str, str], tmp_path: Path) -> None:
    info = tmp_path / "broken-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[ipclab.brokers]\nbroken = no_such_module:Kind\n")
    environ = {**installed, "PYTHONPATH": f"{installed['PYTHONPATH']}:{tmp_path}"}
    answer = ipclab(environ, "backends")
    assert answer.returncode == 0, answer.stderr
    assert re.search(r"^broken +no: the kind of server broken", answer.stdout, re.MULTILINE), answer.stdout
    assert re.search(r"^tiny +yes", answer.stdout, re.MULTILINE), answer.stdout
