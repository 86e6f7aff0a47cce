"""A run in which a server is lost: the others go on, what was measured is kept, and the loss is told."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from ipclab import lab
from ipclab.backends.redis.client import connect
from ipclab.backends.registry import Variant
from ipclab.brokers import state
from ipclab.brokers.state import NativeRecord
from ipclab.errors import BrokerUnavailableError
from ipclab.experiment import Experiment, Request
from ipclab.results.store import Store
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec
from tests.support.processes import wait_until_gone
from tests.support.servers import require_server

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]

BACKENDS = ("queue", "redis-list", "pipe", "redis-stream")


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    for variant in request.channels():
        yield request.trial(workload="stream", backend=variant, size_bytes=64)


EXPERIMENT = Experiment(name="four", question="What becomes of four backends?", trials=trials, repeats=1)
REQUEST = Request(
    backends=tuple(Variant(name) for name in BACKENDS), duration_s=0.3, warmup_s=0.0, start_method="fork"
)


class Watcher:
    """An observer that keeps what it is told; ``at_start`` is called with each spec."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.finished_trials: list[TrialRecord] = []
        self.killers: list[BaseProcess] = []

    def note(self, line: str) -> None:
        self.notes.append(line)

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None:
        """Nothing to do."""

    def finished(self, record: TrialRecord) -> None:
        self.finished_trials.append(record)


class Killer(Watcher):
    """Has the Redis of the run killed as soon as it is in use."""

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None:
        if spec.backend.name == "redis-list":
            (server,) = (r for _, r in state.records() if isinstance(r, NativeRecord) and r.kind == "redis")
            killer = multiprocessing.get_context("fork").Process(target=kill_when_in_use, args=(server,))
            killer.start()
            self.killers.append(killer)


def kill_when_in_use(server: NativeRecord) -> None:
    deadline = time.monotonic() + 20
    with connect(server.url) as client:
        while time.monotonic() < deadline:
            if int(client.info("commandstats").get("cmdstat_rpush", {"calls": 0})["calls"]) > 100:
                os.kill(server.processes[-1].pid, signal.SIGKILL)
                return
            time.sleep(0.005)


def test_a_run_with_all_its_servers_is_complete(tmp_path: Path, own_state: Path) -> None:
    require_server("redis")
    watcher, store = Watcher(), Store(tmp_path / "results")

    outcome = lab.run(EXPERIMENT, REQUEST, store=store, observer=watcher, provider="native", install=False)

    stored = store.load("latest")
    assert stored == outcome.result
    assert stored.complete
    assert [(str(t.spec.backend), t.outcome) for t in stored.trials] == [(b, "finished") for b in BACKENDS]
    assert watcher.finished_trials == stored.trials
    assert not (outcome.folder / "PARTIAL").exists()
    assert list(state.records()) == []


def test_a_server_that_is_lost_costs_its_own_backends_and_no_others(tmp_path: Path, own_state: Path) -> None:
    require_server("redis")
    killer, store = Killer(), Store(tmp_path / "results")
    request = Request(backends=REQUEST.backends, duration_s=2.0, warmup_s=0.0, start_method="fork")

    outcome = lab.run(EXPERIMENT, request, store=store, observer=killer, provider="native", install=False)

    for process in killer.killers:
        process.join()
    stored = store.load("latest")
    assert [(str(t.spec.backend), t.outcome) for t in stored.trials] == [
        ("queue", "finished"),
        ("redis-list", "failed"),
        ("pipe", "finished"),
    ]
    assert not stored.complete
    assert (outcome.folder / "PARTIAL").exists()
    assert list(outcome.lost_brokers) == ["redis"]
    (line,) = outcome.lost_brokers.values()
    assert "went away during redis-list" in line
    assert "\n" not in line
    assert [(gone.backend, gone.reason) for gone in stored.unavailable] == [("redis-stream", line)]
    assert list(state.records()) == []


def test_a_backend_whose_server_cannot_be_had_is_refused_when_it_was_asked_for(
    tmp_path: Path, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:secret@127.0.0.1:1/0")

    with pytest.raises(BrokerUnavailableError) as raised:
        lab.run(EXPERIMENT, REQUEST, store=Store(tmp_path / "results"), observer=Watcher())

    assert "secret" not in str(raised.value)
    assert list(state.records()) == []


def test_the_servers_of_a_run_end_with_it(tmp_path: Path, own_state: Path) -> None:
    require_server("redis")
    seen: set[int] = set()

    class Noting(Watcher):
        def finished(self, record: TrialRecord) -> None:
            for _, found in state.records():
                assert isinstance(found, NativeRecord)
                seen.update(process.pid for process in found.processes)

    store = Store(tmp_path / "results")
    lab.run(EXPERIMENT, REQUEST, store=store, observer=Noting(), provider="native", install=False)

    assert seen
    assert wait_until_gone(seen, 1.0) == set()
