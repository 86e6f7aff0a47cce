"""A backend in a file of the user, in every command that takes a backend."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.test_completion import completed
from tests.support.program import TIMEOUT_S, Ipclab

SOURCE = """
from ipclab.backends.base import Channel
from ipclab.backends.local.counter import ValueCounter
from ipclab.backends.local.queue import SimpleQueueChannel

print("imported")
open("imported", "w").close()


class MyChannel(SimpleQueueChannel):
    name = "my-queue"
    summary = "a queue of a user"


class MyCounter(ValueCounter):
    name = "my-counter"
    summary = "a counter of a user"
"""
SHORT = ("--duration", "0.2", "--warmup", "0.05", "--repeats", "1")
ONE = ("-b", "./queue.py:MyChannel", "--producers", "1", "--consumers", "1", "--size", "64", *SHORT)


@pytest.fixture(autouse=True)
def file(here: Path, ipclab: Ipclab) -> Path:
    """The file of the user; its name is that of a module of the standard library."""
    path = here / "queue.py"
    path.write_text(SOURCE)
    return path


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_it_is_measured_with_every_start_method(ipclab: Ipclab, start_method: str) -> None:
    ended = ipclab("run", "throughput", *ONE, "--start-method", start_method, "--format", "json")
    assert ended.code == 0, ended.err
    (trial,) = json.loads(ended.out)["trials"]
    assert (trial["outcome"], trial["spec"]["backend"]["name"]) == ("finished", "my-queue")
    assert trial["ledger"]["received"] == trial["ledger"]["attempted"] > 0


def test_a_module_of_the_current_folder_is_found_by_spawned_workers(ipclab: Ipclab, file: Path) -> None:
    (file.parent / "my_package").mkdir()
    (file.parent / "my_package" / "__init__.py").touch()
    file.rename(file.parent / "my_package" / "queues.py")
    named = ("-b", "my_package.queues:MyChannel", *ONE[2:], "--start-method", "spawn")
    ended = ipclab("run", "throughput", *named, "--format", "json")
    assert ended.code == 0, ended.err
    (trial,) = json.loads(ended.out)["trials"]
    assert (trial["outcome"], trial["spec"]["backend"]["name"]) == ("finished", "my-queue")


@pytest.mark.slow
def test_a_counter_is_raced_for(ipclab: Ipclab) -> None:
    counter = "queue.py:MyCounter:discipline=locked"
    ended = ipclab("run", "race", "-b", counter, "--start-method", "spawn", *SHORT, "--format", "json")
    assert ended.code == 0, ended.err
    trials = json.loads(ended.out)["trials"]
    assert {(trial["outcome"], trial["spec"]["backend"]["name"]) for trial in trials} == {
        ("finished", "my-counter")
    }


def test_it_is_listed_alone_with_what_it_declares(ipclab: Ipclab) -> None:
    ended = ipclab("backends", "-b", "queue.py:MyChannel", COLUMNS="200")
    assert ended.code == 0
    assert [line.split()[0] for line in ended.out.splitlines() if line] == ["channel", "my-queue"]


@pytest.mark.slow
def test_two_versions_run_in_turns_on_it_and_the_result_can_be_compared_and_reported(
    ipclab: Ipclab, here: Path
) -> None:
    ended = ipclab("gate", "throughput", *ONE[:-1], "2", "--against", sys.executable, "--format", "json")
    assert ended.code in (0, 1, 3), ended.err
    assert all("my-queue" in row["key"] for row in json.loads(ended.out)["rows"])
    (here / "queue.py").unlink()
    runs = sorted(str(path.parent) for path in (here / "results").rglob("result.json"))
    assert ipclab("compare", *(runs * 2)[:2]).code in (0, 1, 3)
    assert ipclab("report", runs[0], "-o", "page.html").code == 0
    assert "my-queue" in (here / "page.html").read_text()


def test_a_shell_completes_words_without_importing_it(ipclab: Ipclab, here: Path) -> None:
    assert completed(ipclab, "ipclab run -b queue.py:MyChannel --ba") == ["--backend"]
    assert completed(ipclab, "ipclab run -b ./que") == ["./que"]
    assert not (here / "imported").exists()


def test_what_it_prints_is_no_data_and_a_mistake_is_one_line(ipclab: Ipclab) -> None:
    ended = ipclab("backends", "-b", "queue.py:MyChanel")
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.splitlines()[-1] == (
        "ipclab: --backend 'queue.py:MyChanel': it has no class MyChanel; it has MyChannel, MyCounter"
    )


@pytest.mark.slow
def test_the_fixture_of_pytest_takes_it(here: Path, file: Path, environ: dict[str, str]) -> None:
    file.rename(here / "my_queue.py")
    (here / "test_it.py").write_text(
        "def test_it(ipclab):\n"
        "    options = dict(producers=1, consumers=1, size=64, duration=0.2, warmup=0.05, repeats=1)\n"
        "    ran = ipclab.run('throughput', backend='my_queue.py:MyChannel', **options)\n"
        "    assert {trial.spec.backend.name for trial in ran.result.trials} == {'my-queue'}\n"
    )
    answer = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"],
        cwd=here,
        env=environ,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
    )
    assert answer.returncode == 0, answer.stdout + answer.stderr
