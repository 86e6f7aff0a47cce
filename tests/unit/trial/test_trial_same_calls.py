"""What is tested is what is measured: crash, order and stream send and receive by the same functions.

The channels here have two ways for each end: ``send()`` and the function of ``sender()``, ``receive()`` and
that of ``receiver()``. One way of an end loses every tenth message, which shows who uses it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Consumer, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.trial.message import STOP
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.support.crashes import play, play_order

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60, method="signal"),
    pytest.mark.usefixtures("nothing_left"),
]

EVERY = 10


class _Tenth:
    """Says of every tenth message that it is to be lost; stop messages pass."""

    def __init__(self) -> None:
        self._count = 0

    def is_lost(self, body: bytes) -> bool:
        self._count += body != STOP
        return body != STOP and self._count % EVERY == 0


class _Producer(Producer):
    def __init__(self, inner: Producer, lossy: str) -> None:
        self._inner, self._lossy, self._tenth = inner, lossy, _Tenth()

    def send(self, body: bytes) -> None:
        self._by("send", body)

    def sender(self) -> Callable[[bytes], object]:
        return partial(self._by, "sender")

    def _by(self, way: str, body: bytes) -> None:
        if way != self._lossy or not self._tenth.is_lost(body):
            self._inner.send(body)


class _Consumer(Consumer):
    def __init__(self, inner: Consumer, lossy: str) -> None:
        self._inner, self._lossy, self._tenth = inner, lossy, _Tenth()

    def receive(self) -> Sequence[bytes]:
        return (self._by("receive"),)

    def receiver(self) -> Callable[[], bytes]:
        return partial(self._by, "receiver")

    def _by(self, way: str) -> bytes:
        while True:
            (body,) = self._inner.receive()
            if way != self._lossy or not self._tenth.is_lost(body):
                return body


class TwoWaysChannel(SimpleQueueChannel):
    """One of its ways, the one that ``lossy`` names, loses messages."""

    name = "two-ways"
    lossy = ""

    def producer(self, index: int) -> Producer:
        return _Producer(super().producer(index), self.lossy)

    def consumer(self, index: int) -> Consumer:
        return _Consumer(super().consumer(index), self.lossy)


def stream(workload: str, **more: Any) -> TrialRecord:
    spec = TrialSpec(
        workload=workload,
        backend=Variant("two-ways"),
        duration_s=0.1,
        warmup_s=0.0,
        drain_s=0.2,
        grace_s=5.0,
        **more,
    )
    return run_trial(spec, namespace="ipclab:unit")


TRIALS: dict[str, Callable[[], TrialRecord]] = {
    "stream": lambda: stream("stream"),
    "paced": lambda: stream("paced", rate_per_s=2000.0),
    "crash": lambda: play("two-ways", "pause consumer, busy", grace_s=1.0, drain_s=0.2),
    "order": lambda: play_order("two-ways", "stress", grace_s=1.0, drain_s=0.2),
}


def lost(record: TrialRecord) -> int:
    assert record.outcome == "finished", record.reason
    if record.ledger is not None:
        return record.ledger.lost
    assert record.safety is not None
    return record.safety.counts["lost"]


@pytest.mark.parametrize("trial", TRIALS)
@pytest.mark.parametrize(
    ("lossy", "is_used"), [("sender", True), ("send", False), ("receiver", True), ("receive", False)]
)
def test_every_trial_of_messages_sends_by_sender_and_receives_by_receiver(
    monkeypatch: pytest.MonkeyPatch, trial: str, lossy: str, is_used: bool
) -> None:
    channel = type("Lossy", (TwoWaysChannel,), {"lossy": lossy})
    monkeypatch.setattr(registry, "_channels", lambda: {"two-ways": channel})
    assert (lost(TRIALS[trial]()) > 0) is is_used
