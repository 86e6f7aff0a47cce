"""Slow is not hung: who gets on is waited for, and who buffers hands over when it closes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Consumer, CounterClient, Producer
from ipclab.backends.local.counter import PipeOwnerCounter
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.host import hang
from ipclab.results.verdict import of_trial
from ipclab.trial import outside
from ipclab.trial.message import STOP
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.support.crashes import play, play_order, safety_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120, method="signal"),
    pytest.mark.usefixtures("nothing_left"),
]
PAUSE_S = 0.1
PATIENCE_S = 0.6


class BufferingProducer(Producer):
    """Keeps everything until ``close()``, as the contract allows."""

    def __init__(self, inner: Producer) -> None:
        self._inner, self._kept = inner, list[bytes]()

    def send(self, body: bytes) -> None:
        time.sleep(PAUSE_S / 10)
        self._kept.append(body)

    def close(self) -> None:
        for body in self._kept:
            self._inner.send(body)
        self._inner.close()


class BufferingChannel(SimpleQueueChannel):
    name = "troubled"

    def producer(self, index: int) -> Producer:
        return BufferingProducer(super().producer(index))


def work() -> None:
    """Be at work for longer than the patience of the trials below."""
    until_s = time.monotonic() + 3 * PATIENCE_S
    while time.monotonic() < until_s:
        pass


class WorkingConsumer(Consumer):
    """Has something to do before it hands over the stop message."""

    def __init__(self, inner: Consumer) -> None:
        self._inner = inner

    def receive(self) -> Sequence[bytes]:
        bodies = self._inner.receive()
        if STOP in bodies:
            work()
        return bodies


class WorkingChannel(SimpleQueueChannel):
    name = "troubled"

    def consumer(self, index: int) -> Consumer:
        return WorkingConsumer(super().consumer(index))


class WorkingClient(CounterClient):
    """Has something to do before it reads."""

    def __init__(self, inner: CounterClient) -> None:
        self._inner = inner

    def increment(self) -> None:
        self._inner.increment()

    def read(self) -> int:
        work()
        return self._inner.read()

    def stop_owner(self) -> None:
        self._inner.stop_owner()


class WorkingReader(PipeOwnerCounter):
    name = "troubled"

    def client(self, index: int) -> CounterClient:
        return WorkingClient(super().client(index))


class WorkingOwner(PipeOwnerCounter):
    name = "troubled"

    def serve(self) -> None:
        super().serve()
        work()


class LateProducer(Producer):
    """Takes its time for every message."""

    def __init__(self, inner: Producer) -> None:
        self._inner = inner

    def send(self, body: bytes) -> None:
        time.sleep(PAUSE_S)
        self._inner.send(body)


class SlowConsumer(Consumer):
    def __init__(self, inner: Consumer) -> None:
        self._inner = inner

    def receive(self) -> Sequence[bytes]:
        time.sleep(PAUSE_S)
        return self._inner.receive()


class SlowChannel(SimpleQueueChannel):
    name = "troubled"

    def consumer(self, index: int) -> Consumer:
        return SlowConsumer(super().consumer(index))


class LateChannel(SimpleQueueChannel):
    name = "troubled"

    def producer(self, index: int) -> Producer:
        return LateProducer(super().producer(index))


def run(monkeypatch: pytest.MonkeyPatch, backend: type[Any], **settings: Any) -> TrialRecord:
    monkeypatch.setattr(registry, "_channels", lambda: {"troubled": backend})
    monkeypatch.setattr(registry, "_counters", lambda: {"troubled": backend})
    monkeypatch.setattr(hang, "LOOK_S", 0.2)
    spec = TrialSpec(
        **{
            "workload": "stream",
            "backend": Variant("troubled"),
            "size_bytes": 64,
            "warmup_s": 0.0,
            "duration_s": 0.3,
            "drain_s": 2.0,
            "grace_s": 5.0,
            **settings,
        }
    )
    return run_trial(spec, namespace="ipclab:unit:0")


@pytest.mark.parametrize("producers", [1, 2])
def test_a_producer_that_hands_over_when_it_closes_loses_nothing_and_does_not_hang(
    monkeypatch: pytest.MonkeyPatch, producers: int
) -> None:
    record = run(monkeypatch, BufferingChannel, producers=producers)
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.ledger is not None
    assert record.ledger.lost == 0
    assert record.ledger.received == record.ledger.confirmed > 0


def test_a_queue_that_is_slow_is_drained_beyond_the_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(monkeypatch, SlowChannel, max_backlog=20, grace_s=1.0)
    assert (record.outcome, record.reason) == ("finished", "")


def test_a_producer_that_is_slow_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(monkeypatch, LateChannel, grace_s=1.0)
    assert (record.outcome, record.reason) == ("finished", "")


def test_an_echoer_that_is_at_work_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    record = run(monkeypatch, WorkingChannel, workload="ping-pong", grace_s=PATIENCE_S)
    assert (record.outcome, record.reason) == ("finished", "")


@pytest.mark.parametrize("counter", [WorkingReader, WorkingOwner])
def test_a_reader_and_an_owner_of_a_counter_that_are_at_work_are_waited_for(
    monkeypatch: pytest.MonkeyPatch, counter: type[Any]
) -> None:
    record = run(monkeypatch, counter, workload="counter", grace_s=PATIENCE_S)
    assert (record.outcome, record.reason) == ("finished", "")


def spin() -> None:
    """Work for ever, as one does that polls without a pause for what never comes."""
    while True:
        pass


class SpinningProducer(Producer):
    """Never comes back from its tenth message, and is at work all the time."""

    def __init__(self, inner: Producer) -> None:
        self._inner, self._count = inner, 0

    def send(self, body: bytes) -> None:
        self._count += 1
        if self._count == 10:
            spin()
        self._inner.send(body)


class SpinningConsumer(Consumer):
    """Never comes back once it has its stop message, and is at work all the time."""

    def __init__(self, inner: Consumer) -> None:
        self._inner = inner

    def receive(self) -> Sequence[bytes]:
        bodies = self._inner.receive()
        if STOP in bodies:
            spin()
        return bodies


class SendSpins(SimpleQueueChannel):
    name = "troubled"

    def producer(self, index: int) -> Producer:
        return SpinningProducer(super().producer(index))


class ReceiveSpins(SimpleQueueChannel):
    name = "troubled"

    def consumer(self, index: int) -> Consumer:
        made = super().consumer(index)
        return SpinningConsumer(made) if index else made


class SetupSpins(SimpleQueueChannel):
    name = "troubled"

    def setup(self) -> None:
        super().setup()
        spin()


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little patience with those who are at work and do not get on."""
    monkeypatch.setattr(hang, "SLOW_AT_MOST_S", 0.5)
    monkeypatch.setattr(hang, "LOOK_S", 0.2)
    monkeypatch.setattr(outside, "CALL_AT_LEAST_S", 0.2)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("channel", "settings", "where"),
    [
        (SendSpins, {}, "producer-0 did not return from the backend"),
        (ReceiveSpins, {"consumers": 2}, "consumer-1 did not end"),
        (SetupSpins, {}, "setup() of troubled did not return within"),
    ],
)
def test_who_is_at_work_when_its_time_is_up_is_slow_and_not_hung(
    monkeypatch: pytest.MonkeyPatch, channel: type[Any], settings: dict[str, Any], where: str
) -> None:
    record = run(monkeypatch, channel, grace_s=0.5, drain_s=0.2, **settings)
    assert record.outcome == "failed"
    assert where in record.reason
    assert "slow and did not hang" in record.reason
    assert "hung" not in record.reason
    assert of_trial(record) == "failed"
    assert record.stuck


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("scene", ["crash", "order"])
def test_a_process_of_a_safety_trial_that_is_at_work_is_told_as_slow_and_hangs_nowhere(
    monkeypatch: pytest.MonkeyPatch, scene: str
) -> None:
    monkeypatch.setattr(registry, "_channels", lambda: {"troubled": ReceiveSpins})
    if scene == "crash":
        record = play("troubled", "pause producer, busy", grace_s=2.0, drain_s=0.2)
    else:
        record = play_order("troubled", "stress", consumers=2, grace_s=2.0, drain_s=0.2)
    safety = safety_of(record)
    assert "consumer-1" not in safety.hung
    assert safety.gave_up["consumer-1"].startswith("Slow: it was still at work, in ")
