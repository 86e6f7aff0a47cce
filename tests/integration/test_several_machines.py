"""Trials whose workers run on several machines, reached by the engine; here all machines are this one."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis

from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant
from ipclab.brokers import Broker
from ipclab.hosts import host
from ipclab.hosts.address import parse_all
from ipclab.trial.machines.crew import AGENT, Machines
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

CUT_CABLE = Path(__file__).parents[1] / "support" / "cut_cable.py"
PLACED = {"producer": [1], "consumer": [2]}
IN_ROOT = shlex.join(["sh", "-c", f'cd / && exec {shlex.quote(sys.executable)} "$@"', "sh"])


@pytest.fixture(scope="module")
def server(private_broker_of: Callable[[BrokerKind], Broker]) -> Broker:
    return private_broker_of("redis")


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machines]:
    """Two interpreters in other working folders, and nothing is left of them afterwards."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    yield Machines(addresses=parse_all([f"exec:{sys.executable}", f"exec:{IN_ROOT}"]))
    assert [path.name for path in tmp_path.iterdir()] == []
    assert agents() == []


def agents() -> list[psutil.Process]:
    """All agents below this process, or that are nobody's child any more."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if AGENT in (process.info["cmdline"] or ()) and _ours(process)
    ]


def _ours(process: psutil.Process) -> bool:
    try:
        return os.getpid() in [one.pid for one in process.parents()] or process.ppid() == 1
    except psutil.NoSuchProcess:
        return False


def run(server: Broker, machines: Machines, **settings: Any) -> TrialRecord:
    given = {"backend": Variant("redis-stream"), "producers": 2, "consumers": 2, "size_bytes": 64}
    short = {"warmup_s": 0.1, "duration_s": 0.3, "placement": PLACED}
    spec = TrialSpec(**(given | short | settings))
    record = run_trial(spec, namespace="ipclab:machines:0", broker=server, machines=machines)
    with redis.Redis.from_url(server.url) as client:
        assert client.keys("*") == []
    return record


def test_a_stream_between_two_machines_has_a_valid_ledger_and_no_side_effects(
    server: Broker, two: Machines
) -> None:
    record = run(server, two, workload="stream", window=10)
    assert (record.outcome, record.reason, record.side_effects) == ("finished", "", [])
    assert record.ledger is not None
    assert record.ledger.verdict == "valid"
    assert record.ledger.received > 100
    assert record.machines is not None
    assert [one.workers for one in record.machines.machines] == [
        ["producer-0", "producer-1"],
        ["consumer-0", "consumer-1"],
    ]
    assert record.machines.reference == 2
    assert record.machines.bound_ns == 0
    assert all(one.cpu_s for one in record.machines.machines)
    # Producers on one machine know at once what each of them has sent.
    assert record.machines.overshoot == 0
    assert record.machines.mirror_age_ns > 0
    assert record.cost is not None
    assert {one.name for one in record.cost.workers} == {
        f"{role}-{i}" for role in ("producer", "consumer") for i in (0, 1)
    }


def test_producers_on_several_machines_keep_the_bound_up_to_the_stated_overshoot(
    server: Broker, two: Machines
) -> None:
    record = run(server, two, workload="stream", placement={"producer": [1, 2], "consumer": [2]})
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.ledger is not None
    assert record.ledger.verdict == "valid"
    assert record.machines is not None
    assert 0 < record.machines.overshoot < record.ledger.attempted


def test_paced_latencies_within_a_machine_are_those_of_all_where_all_share_it(
    server: Broker, two: Machines
) -> None:
    record = run(server, two, workload="paced", rate_per_s=200.0)
    assert record.outcome == "finished", record.reason
    assert record.latency.end_to_end is not None
    assert record.latency.end_to_end.negative == 0
    assert record.latency.same_machine is None


@pytest.mark.parametrize(
    ("workload", "backend"), [("ping-pong", "redis-stream"), ("counter", "redis:discipline=incr")]
)
def test_round_trips_and_counters_work_over_machines(
    server: Broker, two: Machines, workload: str, backend: str
) -> None:
    many = 1 if workload == "ping-pong" else 2
    record = run(server, two, workload=workload, backend=Variant.parse(backend), producers=many, consumers=1)
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.rate_per_s


KILL_IN_ROOT = """
import os, sys, time, psutil
def agents():
    for one in psutil.Process(int(sys.argv[1])).children(recursive=True):
        try:
            # A forked worker has the command line of its agent, and this process has its name.
            named = [sys.argv[2] in process.cmdline() for process in (one, one.parent())]
            if named == [True, False] and one.pid != os.getpid():
                yield one
        except (psutil.Error, AttributeError):
            pass
while len(found := list(agents())) < 2 or not all(len(one.children()) >= 2 for one in found):
    time.sleep(0.1)
time.sleep(1)
[agent] = [one for one in found if one.cwd() == "/"]
print(time.monotonic(), flush=True)
agent.kill()
"""


def test_an_agent_that_is_killed_is_named_and_nothing_is_left(server: Broker, two: Machines) -> None:
    command = [sys.executable, "-c", KILL_IN_ROOT, str(os.getpid()), AGENT]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as killer:
        try:
            record = run(server, two, workload="stream", duration_s=30.0)
            ended_s = time.monotonic()
            said, _ = killer.communicate(timeout=20)
        finally:
            killer.kill()
    assert record.outcome == "failed"
    assert "machine 2 was lost" in record.reason
    # The window alone lasts 30 s.
    assert ended_s - float(said) < 20


def test_a_machine_that_does_not_exist_fails_the_trial_in_one_line(server: Broker, two: Machines) -> None:
    machines = Machines(addresses=(two.addresses[0], *parse_all(["exec:/nonexistent/python"])))
    record = run(server, machines, workload="stream")
    assert record.outcome == "failed"
    assert record.reason.startswith("machine 2 cannot be reached: ")
    assert "/nonexistent/python" in record.reason


CUT_IN_TRIAL = """
import os, signal, sys, time, psutil
machine = psutil.Process(int(sys.argv[1]))
while not any(len(one.children()) >= 2 for one in machine.children(recursive=True)):
    time.sleep(0.1)
time.sleep(1)
machine.send_signal(signal.SIGUSR1)
"""


def test_a_cut_cable_ends_the_trial_here_and_the_workers_there_by_themselves(
    server: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "LEASE_S", 4.0)
    path = str(tmp_path / "cable")
    support = [sys.executable, str(CUT_CABLE), path]
    with (
        subprocess.Popen(support, stdout=subprocess.PIPE, text=True) as machine,
        subprocess.Popen([sys.executable, "-c", CUT_IN_TRIAL, str(machine.pid)]) as cutter,
    ):
        try:
            assert machine.stdout is not None
            assert machine.stdout.readline() == "ready\n"
            there = f"exec:{shlex.join([*support, 'reach'])}"
            machines = Machines(addresses=parse_all([f"exec:{sys.executable}", there]))
            record = run(server, machines, workload="stream", duration_s=60.0)
            # The machine ends when its interpreter does, and that when its agent and all workers have ended.
            left = machine.wait(60)
        finally:
            cutter.kill()
            machine.kill()
    assert record.outcome == "failed"
    assert "machine 2 was lost" in record.reason
    assert left == 0
    assert agents() == []
