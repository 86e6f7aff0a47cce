"""A trial in which something goes wrong: it ends, says what it was, and keeps what was logged."""

from __future__ import annotations

import multiprocessing
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ipclab.backends import plugins, registry
from ipclab.backends.redis.client import connect
from ipclab.backends.registry import Variant
from ipclab.brokers import Broker
from ipclab.checks.breach import texts
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.support import faulty
from tests.support.servers import obtain_private

pytestmark = [
    pytest.mark.timeout(60, method="signal"),
    pytest.mark.usefixtures("nothing_left", "faulty_backend"),
]


@pytest.fixture
def faulty_backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """``faulty`` is a backend of an installed package, for this test; its trials leave no folder."""
    faulty.install(tmp_path / "site")
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plugins.load.cache_clear()
    registry._channels.cache_clear()
    yield
    monkeypatch.undo()
    plugins.load.cache_clear()
    registry._channels.cache_clear()
    assert not list(tmp_path.glob("ipclab-trial-*"))


def play(fault: str, **settings: Any) -> TrialRecord:
    spec = TrialSpec(
        **{
            "workload": "stream",
            "backend": Variant("faulty", {"fault": fault}),
            "size_bytes": 64,
            "warmup_s": 0.05,
            "duration_s": 0.25,
            "drain_s": 0.2,
            "grace_s": 20.0,
            **settings,
        }
    )
    return run_trial(spec, namespace="ipclab:test")


def play_until_it_occurs(fault: str, **settings: Any) -> TrialRecord:
    """Play until a trial sent enough messages for the fault: a busy machine may leave its workers no time."""
    enough = 2 * faulty.EVERY if fault in faulty.DELIVERY_FAULTS else faulty.AFTER
    for _ in range(10):
        record = play(fault, **settings)
        if record.outcome != "finished" or (record.ledger and record.ledger.received > enough):
            return record
    raise AssertionError(f"in none of ten trials {enough} messages arrived")


def test_without_a_fault_the_ledger_is_clean() -> None:
    record = play("none")

    assert record.outcome == "finished"
    assert record.ledger is not None
    assert (record.ledger.verdict, record.ledger.broken, record.ledger.examples) == ("valid", [], {})


@pytest.mark.parametrize("start_method", ["fork", "spawn"])
@pytest.mark.parametrize(
    ("fault", "anomaly", "says"),
    [
        ("drop", "lost", "lost"),
        ("duplicate", "duplicated", "again"),
        ("swap", "reordered", "out of their producer's order"),
        ("corrupt header", "corrupted", "corrupted"),
        ("corrupt tail", "corrupted", "corrupted"),
        ("phantom", "unexpected", "nobody sent"),
    ],
)
def test_a_seeded_fault_is_caught_by_name(fault: str, anomaly: str, says: str, start_method: str) -> None:
    record = play_until_it_occurs(fault, start_method=start_method)

    ledger = record.ledger
    assert record.outcome == "finished"
    assert ledger is not None
    assert ledger.verdict == "invalid"
    assert getattr(ledger, anomaly) > 0
    assert any(says in line for line in texts(ledger.broken))
    assert ledger.examples[anomaly]
    # A message that came corrupted was sent, and never came.
    also = {"lost", anomaly} if anomaly == "corrupted" else {anomaly}
    clean = {"lost", "duplicated", "reordered", "corrupted", "unexpected"} - also
    assert {name: getattr(ledger, name) for name in clean} == dict.fromkeys(clean, 0)


def test_a_seeded_fault_is_caught_in_a_paced_trial_too() -> None:
    record = play_until_it_occurs("drop", workload="paced", rate_per_s=500.0)

    assert record.ledger is not None
    assert (record.ledger.verdict, record.ledger.lost > 0) == ("invalid", True)


@pytest.mark.parametrize("role", ["producer", "consumer"])
def test_a_worker_that_is_killed_fails_the_trial_and_what_was_logged_is_kept(role: str) -> None:
    record = play_until_it_occurs(f"{role} dies")

    assert (record.outcome, record.reason) == ("failed", f"{role}-0 was killed by SIGKILL")
    assert record.ledger is not None
    assert record.ledger.attempted >= faulty.AFTER
    assert (record.ledger.lost, record.ledger.verdict) == (0, "unknown")


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("setup raises", "setting up faulty:fault=setup raises: OSError: the seeded fault"),
        ("producer raises", "producer-0: OSError: the seeded fault"),
        ("consumer raises", "consumer-0: OSError: the seeded fault"),
        ("send raises", "producer-0: OSError: the seeded fault"),
        ("receive raises", "consumer-0: OSError: the seeded fault"),
        ("teardown raises", "tearing down faulty:fault=teardown raises: OSError: the seeded fault"),
    ],
)
def test_a_backend_that_raises_fails_the_trial_in_one_line(fault: str, reason: str) -> None:
    record = play_until_it_occurs(fault)

    assert (record.outcome, record.reason) == ("failed", reason)


@pytest.mark.parametrize(
    ("fault", "worker", "says", "start_method"),
    [
        ("producer hangs", "producer-0", "did not connect", "fork"),
        ("consumer hangs", "consumer-0", "did not connect", "fork"),
        ("send hangs", "producer-0", "did not return from the backend", "fork"),
        ("send hangs", "producer-0", "did not return from the backend", "spawn"),
        ("receive hangs", "consumer-0", "did not end", "fork"),
        ("close hangs", "producer-0", "did not close", "fork"),
    ],
)
def test_a_worker_that_hangs_is_ended_by_the_watchdog_and_its_stack_names_the_place(
    fault: str, worker: str, says: str, start_method: str
) -> None:
    record = play_until_it_occurs(
        fault, start_method=start_method, grace_s=6.0 if start_method == "spawn" else 2.0
    )

    assert record.outcome == "hung"
    assert worker in record.reason
    assert says in record.reason
    assert "hang_for_ever" in record.stuck[worker]


def test_a_worker_that_never_came_to_its_role_is_named_too() -> None:
    record = play("unpickling hangs", start_method="spawn", grace_s=0.001)

    assert record.outcome == "hung"
    assert "consumer-0, producer-0 did not connect" in record.reason
    assert record.stuck.keys() == {"producer-0", "consumer-0"}


def test_workers_that_are_slow_to_start_are_waited_for_beyond_their_grace_time() -> None:
    record = play("none", start_method="spawn", grace_s=0.001)

    assert (record.outcome, record.reason) == ("finished", "")
    assert record.ledger is not None
    assert (record.ledger.verdict, record.ledger.received > 0) == ("valid", True)


def test_a_server_that_is_killed_within_the_window_fails_the_trial_in_one_line(
    tmp_path: Path,
) -> None:
    with obtain_private("redis", tmp_path / "state") as fleet:
        broker = fleet.brokers["redis"]
        killer = multiprocessing.get_context("fork").Process(target=kill_when_in_use, args=(broker,))
        killer.start()
        spec = TrialSpec(
            workload="stream", backend=Variant("redis-list"), size_bytes=64, warmup_s=0.1, duration_s=10.0
        )
        record = run_trial(spec, namespace="ipclab:test", broker=broker)
        killer.join()

        assert record.outcome == "failed"
        assert "\n" not in record.reason
        assert "ConnectionError" in record.reason
        assert record.ledger is not None
        assert record.ledger.verdict == "unknown"
        assert not broker.alive()


def kill_when_in_use(broker: Broker) -> None:
    """Kill a Redis once it has been sent some hundred messages."""
    deadline = time.monotonic() + 20
    with connect(broker.url) as client:
        while time.monotonic() < deadline:
            if int(client.info("commandstats").get("cmdstat_rpush", {"calls": 0})["calls"]) > 300:
                os.kill(int(broker.where.removeprefix("pid ")), signal.SIGKILL)
                return
            time.sleep(0.01)
