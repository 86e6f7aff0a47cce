"""Backends whose defects could pass for a good number, and what a record must say of them all the same."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Guarantees, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.results.verdict import of_trial
from ipclab.trial import measurement, message, worker
from ipclab.trial.message import STOP, Stamper, stamp, trial_mark
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.support import dishonest

pytestmark = pytest.mark.slow
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
    own = (RepeatingChannel, LeftoverStopChannel, *dishonest.CHANNELS)
    every = {**registry._channels(), **{c.name: c for c in own}}
    monkeypatch.setattr(registry, "_channels", lambda: every)


def run(backend: str, workload: Any = "stream", **settings: Any) -> TrialRecord:
    return run_trial(spec_of(backend, workload, **settings), namespace="ipclab:unit:0")


def spec_of(backend: str, workload: Any = "stream", **settings: Any) -> TrialSpec:
    return TrialSpec(
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
    monkeypatch.setattr(measurement, "MOST_PER_S", 100)
    record = run(backend, workload, duration_s=0.5)
    assert record.outcome == "failed"
    assert "room for 150 messages was used up" in record.reason


def test_a_record_has_the_options_that_were_left_to_their_defaults_too() -> None:
    assert run("value", "counter").options == {"discipline": "locked"}
    assert run("pipe").options == {}


@pytest.mark.parametrize(
    ("workload", "more"), [("paced", {"rate_per_s": 500.0, "arrivals": "constant"}), ("stream", {})]
)
def test_a_message_that_is_delivered_before_it_is_sent_breaks_the_guarantee(
    workload: str, more: dict[str, Any]
) -> None:
    record = run("early", workload, max_backlog=1, duration_s=0.4, **more)
    assert record.ledger is not None
    assert (record.ledger.lost, record.ledger.duplicated, record.ledger.corrupted) == (0, 0, 0)
    assert record.ledger.received_before_sent > 0
    assert of_trial(record) == "broken"
    assert "received_before_sent" in {breach.kind for breach in record.ledger.broken}
    assert all(name.startswith("0/") for name in record.ledger.examples["received_before_sent"])


def test_what_an_honest_channel_delivers_is_never_received_before_it_was_sent() -> None:
    ledger = run("simple-queue", max_backlog=1).ledger
    assert ledger is not None
    assert (ledger.received_before_sent, ledger.verdict) == (0, "valid")


@pytest.mark.parametrize("size_bytes", [16, 17, 64])
def test_a_message_of_an_earlier_trial_does_not_stand_in_for_a_lost_one(
    size_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = worker.content(spec_of("stale", size_bytes=size_bytes), "ipclab:unit:earlier")
    left = stamp(0, 3, 1, message.tail(before, 0, size_bytes), trial_mark(before))
    monkeypatch.setattr(dishonest.StaleChannel, "left", {3: left})
    record = run("stale", size_bytes=size_bytes)
    assert record.ledger is not None
    assert (record.ledger.lost, record.ledger.corrupted) == (1, 1)
    assert of_trial(record) == "broken"


def test_neighbouring_trials_of_a_run_never_share_a_mark() -> None:
    marks = [trial_mark(f"1/ipclab:8f3e22aa-71:{number}") for number in range(3000)]
    assert all(one != other for one, other in pairwise(marks))


def test_the_stop_message_is_no_corrupted_message_where_a_channel_strips_nul_bytes() -> None:
    made_from = worker.content(spec_of("stripping"), "ipclab:unit:0")
    assert message.tail(made_from, 0, 64)[-1:].strip(b"\0 \r\n\t"), "the channel would strip the messages too"
    record = run("stripping")
    assert record.outcome == "finished", record.reason
    assert record.ledger is not None
    assert (record.ledger.corrupted, record.ledger.lost, record.ledger.verdict) == (0, 0, "valid")
    assert record.ledger.received > 0


def test_a_channel_that_changes_the_stop_message_is_said_not_to_carry_these_bytes() -> None:
    record = run("padding", grace_s=1.0)
    assert record.outcome == "hung"
    assert "cannot carry these bytes" in record.reason
    assert record.ledger is not None
    assert (record.ledger.corrupted, record.ledger.unexpected, record.ledger.broken) == (0, 0, [])


def test_a_channel_that_strips_bytes_of_a_message_has_damaged_it() -> None:
    record = run("stripping", size_bytes=16)
    assert record.ledger is not None
    assert record.ledger.corrupted > 0
    assert of_trial(record) == "broken"


@pytest.mark.parametrize("size", [16, 17, 64])
def test_no_message_is_taken_for_a_stop_nor_a_stop_for_a_message(size: int) -> None:
    bodies = Stamper(254, bytes(size - 16), 1000, 0xFFFF).stamp(0, 1000)
    assert not any(message.is_stop(body) for body in bodies)
    assert message.is_stop(STOP)
    assert message.is_stop(STOP + bytes(48))
    assert STOP.strip(b"\0 \r\n\t") == STOP


def test_a_queue_that_is_polled_is_slow_and_loses_nothing() -> None:
    record = run("polled", duration_s=1.0, max_backlog=200, drain_s=0.1, grace_s=2.0)
    assert record.outcome == "finished", record.reason
    assert record.ledger is not None
    assert (record.ledger.lost, record.ledger.verdict) == (0, "valid")
    assert record.ledger.received == record.ledger.attempted
    assert record.cost is not None
    # In a second it is polled twice, so two lots make room; a block of the bound's quarter may be overshot.
    most = 200 + 50 + 2 * dishonest.PolledChannel.most + record.cost.beyond_backlog
    assert record.ledger.attempted <= most
    assert record.cost.beyond_backlog <= 10


def test_repetitions_without_end_are_no_progress() -> None:
    record = run("flooding", "paced", rate_per_s=1000.0, duration_s=0.2, drain_s=0.1, grace_s=0.5)
    assert record.outcome == "hung"
    assert "consumer-0 did not end" in record.reason
    assert record.ledger is not None
    assert record.ledger.duplicated > 0


def test_messages_that_are_lost_do_not_keep_a_stream_from_going_on() -> None:
    record = run("lossy", duration_s=1.0, max_backlog=20)
    assert record.outcome == "finished", record.reason
    assert record.ledger is not None
    assert record.ledger.lost > 20
    assert record.ledger.attempted > 20 * dishonest.EVERY
    assert of_trial(record) == "broken"


def test_what_is_late_is_waited_for_as_long_as_something_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dishonest.PolledChannel, "every_s", 0.3)
    monkeypatch.setattr(dishonest.PolledChannel, "most", 1)
    record = run("polled", duration_s=0.7, max_backlog=10, drain_s=0.1, grace_s=1.5)
    assert record.outcome == "finished", record.reason
    assert record.ledger is not None
    assert (record.ledger.lost, record.ledger.received) == (0, record.ledger.attempted)


@pytest.mark.parametrize(("backend", "helpers"), [("helped", 1), ("simple-queue", 0)])
def test_a_helper_process_that_the_backend_does_not_name_is_counted(backend: str, helpers: int) -> None:
    cost = run(backend, duration_s=0.5).cost
    assert cost is not None
    assert cost.helpers == helpers
    assert (cost.broker_cpu_s is not None) == bool(helpers)
