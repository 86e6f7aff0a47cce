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
from ipclab.trial.message import STOP
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

pytestmark = [pytest.mark.timeout(120, method="signal"), pytest.mark.usefixtures("nothing_left")]
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


@pytest.mark.slow
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
