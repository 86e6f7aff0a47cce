"""Backends whose defects could pass for a good number, and what a record must say of them all the same."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Guarantees, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.trial.message import STOP
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workloads import measured as workloads

UNDER_WAY_S = 0.05


class _RepeatsAndDelays(Producer):
    """Sends every message with an even number twice, and the one after it a while later."""

    def __init__(self, producer: Producer) -> None:
        self._producer = producer
        self._number = -1

    def send(self, body: bytes) -> None:
        if body == STOP:
            self._producer.send(body)
            return
        self._number += 1
        if self._number % 2:
            threading.Timer(UNDER_WAY_S, self._producer.send, (body,)).start()
        else:
            self._producer.send(body)
            self._producer.send(body)


class RepeatingChannel(SimpleQueueChannel):
    name = "repeating"

    @property
    def guarantees(self) -> Guarantees:
        return replace(super().guarantees, delivery="at-least-once", may_lose=frozenset(), order="none")

    def producer(self, index: int) -> Producer:
        return _RepeatsAndDelays(super().producer(index))


class LeftoverStopChannel(SimpleQueueChannel):
    """Still has the stop message of an earlier trial."""

    name = "leftover"

    def setup(self) -> None:
        super().setup()
        assert self._queue is not None
        self._queue.put(STOP)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    every = {**registry._channels(), **{c.name: c for c in (RepeatingChannel, LeftoverStopChannel)}}
    monkeypatch.setattr(registry, "_channels", lambda: every)


def run(backend: str, workload: Any = "stream", **settings: Any) -> TrialRecord:
    spec = TrialSpec(
        **{
            "workload": workload,
            "backend": Variant.parse(backend),
            "size_bytes": 64,
            "warmup_s": 0.0,
            "duration_s": 0.1,
            "grace_s": 10.0,
            "start_method": "fork",
            **settings,
        }
    )
    return run_trial(spec, namespace="ipclab:unit:0")


def test_a_message_that_came_twice_does_not_stand_in_for_one_that_is_still_under_way() -> None:
    ledger = run("repeating", "paced", rate_per_s=200.0, arrivals="constant").ledger
    assert ledger is not None
    assert ledger.duplicated > 0
    assert (ledger.lost, ledger.verdict, ledger.broken) == (0, "valid", [])


@pytest.mark.parametrize("consumers", [1, 2])
def test_a_consumer_that_ends_before_it_is_told_to_fails_the_trial(consumers: int) -> None:
    record = run("leftover", consumers=consumers, grace_s=1.0)
    assert record.outcome == "failed"
    assert "ended before it was told to" in record.reason


@pytest.mark.parametrize(
    ("backend", "workload"), [("value", "counter"), ("pipe", "ping-pong"), ("pipe", "stream")]
)
def test_a_log_that_is_full_fails_the_trial_since_the_rate_would_be_too_small(
    backend: str, workload: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workloads, "MOST_PER_S", 100)
    record = run(backend, workload, duration_s=0.5)
    assert record.outcome == "failed"
    assert "room for 150 messages was used up" in record.reason


def test_a_record_has_the_options_that_were_left_to_their_defaults_too() -> None:
    assert run("value", "counter").options == {"discipline": "locked"}
    assert run("pipe").options == {}
