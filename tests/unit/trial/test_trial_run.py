"""A whole trial on backends that go wrong in known ways: what each record must say."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Consumer, CounterClient, Producer
from ipclab.backends.local.counter import ValueCounter
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.trial.message import STOP
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

Change = Callable[[int, bytes], list[bytes]]


class Meddler(Producer):
    """Passes on what ``change`` makes of the message with this number, and stop signals as they are."""

    def __init__(self, producer: Producer, change: Change) -> None:
        self._producer = producer
        self._change = change
        self._number = -1

    def send(self, body: bytes) -> None:
        if body == STOP:
            self._producer.send(body)
            return
        self._number += 1
        for changed in self._change(self._number, body):
            self._producer.send(changed)


class MeddlingChannel(SimpleQueueChannel):
    """Two workers of a fork share no memory, so the change is set on the class before they start."""

    name = "meddling"
    change: Change

    def producer(self, index: int) -> Producer:
        return Meddler(super().producer(index), type(self).change)


class DeafConsumer(Consumer):
    """Receives the first message and then nothing, for ever."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._heard = False

    def receive(self) -> Sequence[bytes]:
        if self._heard:
            signal.pause()
        self._heard = True
        return self._consumer.receive()


class DeafChannel(SimpleQueueChannel):
    name = "deaf"

    def consumer(self, index: int) -> Consumer:
        return DeafConsumer(super().consumer(index))


class DyingConsumer(Consumer):
    """Is killed when it has received a hundred messages."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._count = 0

    def receive(self) -> Sequence[bytes]:
        self._count += 1
        if self._count > 100:
            os.kill(os.getpid(), signal.SIGKILL)
        return self._consumer.receive()


class DyingChannel(SimpleQueueChannel):
    name = "dying"

    def consumer(self, index: int) -> Consumer:
        return DyingConsumer(super().consumer(index))


class UnreachableChannel(SimpleQueueChannel):
    name = "unreachable"

    def setup(self) -> None:
        raise ConnectionRefusedError("nobody there")


class Forgetful(CounterClient):
    """Does only every second increment."""

    def __init__(self, client: CounterClient) -> None:
        self._client = client
        self._count = 0

    def increment(self) -> None:
        self._count += 1
        if self._count % 2:
            self._client.increment()

    def read(self) -> int:
        return self._client.read()


class ForgetfulCounter(ValueCounter):
    name = "forgetful"

    def client(self, index: int) -> CounterClient:
        return Forgetful(super().client(index))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    channels = (MeddlingChannel, DeafChannel, DyingChannel, UnreachableChannel)
    every = {**registry._channels(), **{c.name: c for c in channels}}
    monkeypatch.setattr(registry, "_channels", lambda: every)
    counters = {**registry._counters(), ForgetfulCounter.name: ForgetfulCounter}
    monkeypatch.setattr(registry, "_counters", lambda: counters)


def run(backend: str, workload: Any = "stream", **settings: Any) -> TrialRecord:
    spec = TrialSpec(
        **{
            "workload": workload,
            "backend": Variant.parse(backend),
            "size_bytes": 64,
            "warmup_s": 0.0,
            "duration_s": 0.1,
            "drain_s": 0.1,
            "grace_s": 10.0,
            **settings,
        }
    )
    return run_trial(spec, namespace="ipclab:unit:0")


def run_changed(monkeypatch: pytest.MonkeyPatch, change: Change, **settings: Any) -> TrialRecord:
    monkeypatch.setattr(MeddlingChannel, "change", staticmethod(change), raising=False)
    return run("meddling", **settings)


def test_a_sound_backend_gives_a_valid_record_with_everything_measured() -> None:
    record = run("simple-queue", producers=2, consumers=2)
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.ledger is not None
    assert record.ledger.verdict == "valid"
    assert record.ledger.received == record.ledger.confirmed > 0
    assert record.rate_per_s
    assert record.cost is not None
    assert {w.name for w in record.cost.workers} == {"producer-0", "producer-1", "consumer-0", "consumer-1"}
    assert all(w.cpu_s is not None and w.peak_rss_bytes for w in record.cost.workers)


def test_a_backend_that_drops_a_message_has_lost_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = run_changed(monkeypatch, lambda n, body: [] if n == 7 else [body]).ledger
    assert ledger is not None
    assert (ledger.lost, ledger.verdict) == (1, "invalid")
    assert ledger.examples["lost"] == ["0/7"]


def test_a_backend_that_repeats_a_message_has_duplicated_it(monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = run_changed(monkeypatch, lambda n, body: [body, body] if n == 7 else [body]).ledger
    assert ledger is not None
    assert (ledger.duplicated, ledger.verdict) == (1, "invalid")
    assert ledger.examples["duplicated"] == ["0/7"]


def test_a_backend_that_changes_a_byte_has_corrupted_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def change(number: int, body: bytes) -> list[bytes]:
        return [body[:40] + bytes([body[40] ^ 1]) + body[41:]] if number == 7 else [body]

    ledger = run_changed(monkeypatch, change).ledger
    assert ledger is not None
    assert (ledger.corrupted, ledger.lost, ledger.verdict) == (1, 1, "invalid")


def test_a_backend_that_swaps_two_messages_has_reordered_them(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[bytes] = []

    def change(number: int, body: bytes) -> list[bytes]:
        if number == 7:
            held.append(body)
            return []
        return [body, held.pop()] if number == 8 else [body]

    ledger = run_changed(monkeypatch, change).ledger
    assert ledger is not None
    assert (ledger.reordered, ledger.lost, ledger.verdict) == (1, 0, "invalid")
    assert ledger.examples["reordered"] == ["0/7 after 0/8 at consumer 0"]


def test_a_consumer_that_hangs_is_ended_by_the_watchdog_and_its_stack_is_kept() -> None:
    record = run("deaf", grace_s=1.0, max_backlog=10)
    assert record.outcome == "hung"
    assert "consumer-0" in record.reason
    assert "signal.pause" in record.stuck["consumer-0"] or "receive" in record.stuck["consumer-0"]


def test_a_worker_that_is_killed_fails_the_trial_and_its_receipts_are_kept() -> None:
    record = run("dying")
    assert (record.outcome, record.reason) == ("failed", "consumer-0 was killed by SIGKILL")
    assert record.ledger is not None
    assert record.ledger.received == 100
    assert record.ledger.verdict != "invalid"


def test_a_backend_that_cannot_be_set_up_fails_the_trial_in_one_line() -> None:
    record = run("unreachable")
    assert record.outcome == "failed"
    assert record.reason == "setting up unreachable: ConnectionRefusedError: nobody there"


def test_a_safe_counter_that_forgets_increments_is_caught() -> None:
    record = run("forgetful:discipline=locked", "counter", producers=2)
    assert record.counter is not None
    assert record.counter.verdict == "invalid"
    assert record.counter.lost >= record.counter.confirmed // 2 - 2 > 0


def test_a_paced_trial_keeps_to_its_schedule_and_tells_four_distributions_apart() -> None:
    record = run("simple-queue", "paced", rate_per_s=500.0, arrivals="constant", duration_s=0.4)
    assert record.ledger is not None
    assert record.ledger.attempted + record.latency.skipped_sends == 200
    found = record.latency
    assert found.send is not None
    assert found.confirm is not None
    assert found.end_to_end is not None
    assert found.service is not None
    assert found.end_to_end.count == found.service.count == record.ledger.received
    assert found.end_to_end.negative == 0
    assert found.service.min_ns <= found.end_to_end.min_ns


def test_a_ping_pong_measures_round_trips() -> None:
    record = run("pipe", "ping-pong")
    assert record.latency.round_trip is not None
    assert record.latency.round_trip.count == round((record.rate_per_s or 0) * record.window_s) > 0
    assert record.latency.end_to_end is None


@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_a_trial_is_the_same_under_every_start_method(method: str) -> None:
    record = run("queue", start_method=method)
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.ledger is not None
    assert record.ledger.verdict == "valid"
    assert record.ledger.received > 0
