"""``ipclab claims`` on real processes and servers."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pika
import pika.exceptions
import psutil
import pytest

from ipclab.backends.rabbitmq import connection as rabbitmq_connection
from ipclab.backends.redis import client as redis_client
from ipclab.brokers import KINDS, install, kinds
from ipclab.claims import catalogue, session
from ipclab.claims.keep import read
from ipclab.claims.outcome import Run
from tests.conftest import BrokerOf
from tests.support.processes import wait_until_gone
from tests.support.program import PROGRAM, TIMEOUT_S, Ended
from tests.support.servers import unavailable

QUICK = "data_isolation"
"""A claim that is settled within a second or two."""


ONE_MORE_CONDITION = {
    ("semaphore", "bounded_stray_release.outcome"): "returned",
    ("semaphore", "bounded_inside"): "3",
    ("semaphore", "bounded_holder.error"): "ValueError",
    ("worker_killed", "sending.outcome"): "hung",
    ("worker_killed", "after_sending.outcome"): "hung",
    ("queue_process_safe", "own_queue.outcome"): "hung",
    ("queue_process_safe", "own_pipe.error"): "OSError: got end of file",
    ("queue_process_safe", "own_pipe_open.outcome"): "hung",
    ("manager_data_unsafe", "own_key"): "AuthenticationError",
    ("manager_data_unsafe", "own_key_set"): "nothing",
    ("mutex", "file_lock.flock.outcome"): "hung",
    ("mutex", "file_lock.lockf.outcome"): "returned",
}
"""By claim and part of its evidence: what the one more condition that refutes the claim or its cure shows."""


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """No server, a state folder of its own, and pipes that are not waited for."""
    servers = set(kinds.variables())
    kept = {name: value for name, value in os.environ.items() if name not in servers}
    return {**kept, "IPCLAB_STATE_DIR": str(tmp_path / "state"), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def began(tmp_path: Path, environ: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The program at work on a claim that takes a while, with the processes of its experiment."""
    with subprocess.Popen(
        [PROGRAM, "claims", "event"], env=environ, cwd=tmp_path, stdout=-1, stderr=-1, text=True
    ) as program:
        deadline = time.monotonic() + TIMEOUT_S
        while len(psutil.Process(program.pid).children(recursive=True)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        yield program
        program.kill()


def call(environ: dict[str, str], *arguments: str, timeout_s: int = TIMEOUT_S) -> Ended:
    ended = subprocess.run(
        [PROGRAM, "claims", *arguments], env=environ, capture_output=True, text=True, timeout=timeout_s
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True))


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_claim_has_the_recorded_verdict_with_native_servers(
    environ: dict[str, str], tmp_path: Path
) -> None:
    absent = [kind for kind in KINDS if kinds.get(kind).find_program() is None]
    if absent:
        unavailable(f"not installed: {', '.join(absent)}; get it by: {install.command(absent)}")
    path = tmp_path / "run.json"
    arguments = ("--provider", "native", "--no-install", "--format", "json", "-o", str(path))
    before = children()
    ended = call(environ, *arguments, timeout_s=380)
    assert ended.code == 0, ended.err
    outcomes = read(path).outcomes
    assert [outcome.name for outcome in outcomes] == list(catalogue.load_all())
    assert all(outcome.state == "run" and outcome.rows for outcome in outcomes)
    assert children() <= before
    for (claim, where), expected in ONE_MORE_CONDITION.items():
        (found,) = (outcome.evidence for outcome in outcomes if outcome.name == claim)
        seen: Any = found
        for part in where.split("."):
            seen = seen[part]
        assert str(seen).startswith(expected), (claim, where, seen)


def test_the_file_of_a_claim_shows_timeline_evidence_verdict_and_conditions(environ: dict[str, str]) -> None:
    command = [sys.executable, str(catalogue.path(QUICK))]
    ended = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert ended.returncode == 0, ended.stderr
    claim = catalogue.find([QUICK])[QUICK]
    lines = ended.stdout.splitlines()
    assert lines[0] == f"{claim.number}. {claim.statement.en}"
    assert any(" s  spawn " in line for line in ended.stderr.splitlines())
    assert "Verdict" in lines
    assert any(line.startswith("  holds when ") for line in lines)
    assert " ".join(ended.stdout.split()).count(" ".join(claim.practice.en.split())) == 1
    assert lines.index("What happens") < lines.index("Evidence") < lines.index("In practice")
    assert "start method fork" in ended.stdout[ended.stdout.index("Conditions") :]


def test_json_is_all_that_is_on_stdout_and_nothing_is_on_stderr(environ: dict[str, str]) -> None:
    ended = call(environ, QUICK, "--format", "json")
    run = msgspec.json.decode(ended.out, type=Run)
    assert [outcome.name for outcome in run.outcomes] == [QUICK]
    assert run.outcomes[0].timeline
    assert ended.err == ""


def test_a_claim_is_asked_for_by_its_number(environ: dict[str, str]) -> None:
    ended = call(environ, "25", "--format", "md")
    assert ended.out.splitlines()[2].startswith("| 25 | The data of processes is isolated")


def test_the_nearest_name_is_offered_for_one_that_is_unknown(environ: dict[str, str]) -> None:
    ended = call(environ, "data_isolatoin")
    assert (ended.code, ended.out) == (2, "")
    assert ended.line.startswith("ipclab: no claim is called 'data_isolatoin'; did you mean data_isolation")


def test_a_kept_run_is_shown_without_another_one(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    assert call(environ, QUICK, "--format", "json", "-o", str(path)).out == ""
    ended = call(environ, QUICK, "--from", str(path), "--language", "zh")
    assert ended.code == 0
    assert "有条件成立" in ended.out


def test_with_live_json_is_all_that_is_on_stdout(environ: dict[str, str]) -> None:
    ended = call(environ, QUICK, "--live", "--format", "json")
    assert [one["name"] for one in json.loads(ended.out)["outcomes"]] == [QUICK]
    assert "Evidence" in ended.err


def test_the_claims_are_listed_in_the_language_of_the_locale(environ: dict[str, str]) -> None:
    claim = catalogue.find([QUICK])[QUICK]
    chinese = call({**environ, "LC_ALL": "zh_CN.UTF-8"}, "--list")
    english = call({**environ, "LC_ALL": "C.UTF-8"}, "--list", QUICK)
    begun = [line for line in chinese.out.splitlines() if not line.startswith(" ")]
    assert len(begun) == 1 + len(catalogue.load_all())
    assert claim.statement.zh in "".join(chinese.out.split())
    assert f"{claim.number} {QUICK} {claim.statement.en}" in " ".join(english.out.split())


def test_an_interrupted_run_keeps_what_it_has_settled_and_goes_on(
    environ: dict[str, str], tmp_path: Path
) -> None:
    command = [PROGRAM, "claims", "process_resources", "event"]
    with subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=-1, stderr=-1, text=True) as program:
        deadline = time.monotonic() + TIMEOUT_S
        while not (found := list((tmp_path / "results" / "claims").glob("*.json"))):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=TIMEOUT_S)
    (path,) = found
    assert f"ipclab claims --from {path.relative_to(tmp_path)}" in said
    run = read(path)
    assert ([outcome.name for outcome in run.outcomes], run.left) == (["process_resources"], ["event"])
    # It goes on with a quick one instead.
    path.write_text(path.read_text().replace('"event"', f'"{QUICK}"'))
    ended = call(environ, "--from", str(path), "--format", "json")
    assert {one["name"] for one in json.loads(ended.out)["outcomes"]} == {QUICK, "process_resources"}
    assert read(path).left == []


def test_a_run_that_ends_leaves_nothing_behind(environ: dict[str, str], tmp_path: Path) -> None:
    assert call(environ, QUICK, "--results", str(tmp_path / "results")).code == 0
    assert not (tmp_path / "results").exists()


def test_a_run_of_other_conditions_does_not_go_on(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    call(environ, QUICK, "--format", "evidence", "-o", str(path))
    kept = json.loads(path.read_text())
    kept["left"], kept["conditions"]["python"] = ["event"], "3.99.0"
    path.write_text(json.dumps(kept))
    ended = call(environ, "--from", str(path))
    assert ended.code != 0
    assert "was made with python 3.99.0" in ended.line


def test_a_verdict_that_differs_is_named_and_ends_with_1(environ: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    call(environ, QUICK, "--format", "json", "-o", str(path))
    kept = json.loads(path.read_text())
    kept["outcomes"][0]["recorded"] = "refuted"
    path.write_text(json.dumps(kept))
    ended = call(environ, "--from", str(path))
    assert ended.code == 1
    assert "claim 25 (data_isolation): the verdict is 'holds when', but 'refuted' is recorded" in ended.line


def test_the_pages_are_written_in_both_languages(environ: dict[str, str], tmp_path: Path) -> None:
    ended = call(environ, QUICK, "--docs", str(tmp_path))
    assert ended.code == 0
    assert "### 25. The data of processes is isolated" in (tmp_path / "claims.md").read_text()
    assert "### 25. 进程之间数据隔离" in (tmp_path / "claims.zh.md").read_text()


def test_a_folder_that_cannot_be_written_is_told_before_anything_is_run(environ: dict[str, str]) -> None:
    ended = call(environ, "--docs", "/nowhere/at/all")
    assert ended.code == 2
    assert ended.line.startswith("ipclab: cannot write /nowhere/at/all/claims.md")


def test_a_claim_whose_server_cannot_be_had_is_not_run_and_the_others_are(environ: dict[str, str]) -> None:
    needing = next(name for name, claim in catalogue.load_all().items() if claim.needs)
    ended = call(environ, QUICK, needing, "--provider", "url", "--format", "json")
    run = msgspec.json.decode(ended.out, type=Run)
    states = {outcome.name: outcome.state for outcome in run.outcomes}
    assert states == {QUICK: "run", needing: "not run"}
    assert ended.code == 4


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_nothing_behind(
    began: subprocess.Popen[str], sign: signal.Signals, code: int
) -> None:
    processes = {child.pid for child in psutil.Process(began.pid).children(recursive=True)}
    began.send_signal(sign)
    _, said = began.communicate(timeout=TIMEOUT_S)
    assert began.returncode == code
    assert "Traceback" not in said
    assert not wait_until_gone(processes)


def test_a_killed_run_leaves_nothing_behind(began: subprocess.Popen[str]) -> None:
    processes = {child.pid for child in psutil.Process(began.pid).children(recursive=True)}
    began.kill()
    began.wait()
    assert not wait_until_gone(processes)


@pytest.mark.parametrize(
    ("victim", "sign"),
    [("experiment", signal.SIGKILL), ("program", signal.SIGINT), ("program", signal.SIGKILL)],
)
def test_an_experiment_that_is_ended_in_its_middle_leaves_nothing_on_the_servers(
    environ: dict[str, str], tmp_path: Path, broker_of: BrokerOf, victim: str, sign: signal.Signals
) -> None:
    urls = {kind: broker_of(kind).url for kind in KINDS}
    environ |= {kinds.get(kind).variables[0]: url for kind, url in urls.items()}
    command = [PROGRAM, "claims", "brokers_as_middleware", "--provider", "url"]
    with (
        redis_client.connect(urls["redis"]) as redis,
        rabbitmq_connection.connect(urls["rabbitmq"]) as rabbitmq,
        subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=-1, stderr=-1) as program,
    ):
        before = set(redis.keys("ipclab:claim-*"))
        wait_for(lambda: set(redis.keys("ipclab:claim-*")) - before)
        key = (set(redis.keys("ipclab:claim-*")) - before).pop()
        namespace = key.decode().rpartition(":")[0]
        queues = [f"{namespace}:state", f"{namespace}:queue"]
        # Redis is the first of the three, and RabbitMQ the second.
        wait_for(lambda: all(has_queue(rabbitmq, queue) for queue in queues))
        (experiment,) = psutil.Process(program.pid).children()
        (program if victim == "program" else experiment).send_signal(sign)
        program.communicate(timeout=TIMEOUT_S)
        wait_for(lambda: not redis.keys(f"{namespace}:*"))
        wait_for(lambda: not any(has_queue(rabbitmq, queue) for queue in queues))


def test_what_a_claim_left_that_was_killed_with_all_its_processes_is_removed_by_later_commands(
    environ: dict[str, str], tmp_path: Path, broker_of: BrokerOf
) -> None:
    urls = {kind: broker_of(kind).url for kind in KINDS}
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environ |= {kinds.get(kind).variables[0]: url for kind, url in urls.items()} | {"TMPDIR": str(temporary)}
    command = [PROGRAM, "claims", "brokers_as_middleware", "--provider", "url"]
    with (
        redis_client.connect(urls["redis"]) as redis,
        rabbitmq_connection.connect(urls["rabbitmq"]) as rabbitmq,
        subprocess.Popen(command, env=environ, cwd=tmp_path, stdout=-1, stderr=-1) as program,
    ):
        before = set(redis.keys("ipclab:claim-*"))
        wait_for(lambda: set(redis.keys("ipclab:claim-*")) - before)
        namespace = (set(redis.keys("ipclab:claim-*")) - before).pop().decode().rpartition(":")[0]
        queues = [f"{namespace}:state", f"{namespace}:queue"]
        wait_for(lambda: all(has_queue(rabbitmq, queue) for queue in queues))
        (experiment,) = psutil.Process(program.pid).children()
        # Stopped, so that it cannot clean up after the experiment.
        program.send_signal(signal.SIGSTOP)
        session.end(experiment.pid)
        program.kill()
        program.communicate(timeout=TIMEOUT_S)
        assert redis.keys(f"{namespace}:*")
        assert list(temporary.glob("ipclab-claim-*"))

        ended = call(environ, "brokers_as_middleware", "--provider", "url")
        assert ended.code == 0, ended.err
        for title in ("Redis", "RabbitMQ", "memcached"):
            (line,) = [line for line in ended.err.splitlines() if f"on {title} at" in line]
            assert "removed" in line
            assert "left by the run of" in line
        assert not redis.keys(f"{namespace}:*")
        assert not any(has_queue(rabbitmq, queue) for queue in queues)
    assert list(temporary.iterdir()) == []
    assert list(Path(environ["IPCLAB_STATE_DIR"]).glob(".names-*")) == []


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_queue(connection: pika.BlockingConnection, queue: str) -> bool:
    channel = connection.channel()
    try:
        channel.queue_declare(queue, passive=True)
    except pika.exceptions.ChannelClosedByBroker:
        return False
    channel.close()
    return True


def test_progress_is_shown_on_a_terminal(environ: dict[str, str], tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    command = [PROGRAM, "claims", QUICK, "--format", "md"]
    program = subprocess.run(
        command, env=environ, cwd=tmp_path, stdout=-1, stderr=theirs, timeout=TIMEOUT_S, text=True
    )
    os.close(theirs)
    shown = os.read(ours, 4096).decode()
    os.close(ours)
    assert program.returncode == 0
    assert f"1 of 1: {QUICK}" in shown
    assert "\x1b" not in program.stdout
