"""What an order trial says where a worker gave up: no verdict, however clean the rest is."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Consumer, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.checks.breach import texts
from ipclab.results.verdict import of_trial
from ipclab.trial.message import STOP
from ipclab.trial.record import Safety
from ipclab.trial.scenes import order
from tests.support.crashes import play_order, safety_of

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]


class _Full(Producer):
    """Takes some messages and refuses all others, as a server whose memory is full; the last one it takes."""

    def __init__(self, producer: Producer, room: int) -> None:
        self._producer, self._room = producer, room

    def send(self, body: bytes) -> None:
        if body != STOP:
            if not self._room:
                raise MemoryError("command not allowed")
            self._room -= 1
        self._producer.send(body)

    def flush(self) -> None:
        self._producer.flush()


class FullChannel(SimpleQueueChannel):
    """No producer gets a message through."""

    name = "full"

    def producer(self, index: int) -> Producer:
        return _Full(super().producer(index), self.room(index))

    def room(self, index: int) -> int:
        return 0


class FillingChannel(FullChannel):
    """The second producer gets none through, the first all."""

    name = "filling"

    def room(self, index: int) -> int:
        return 0 if index == 1 else 1_000


class _Late(Consumer):
    """Hands a message over after the one that was sent behind it."""

    def __init__(self, consumer: Consumer) -> None:
        self._consumer = consumer
        self._held: list[bytes] = []
        self._next: list[bytes] = []

    def receive(self) -> Sequence[bytes]:
        while not self._next:
            (body,) = self._consumer.receive()
            if body == STOP:
                self._next = [*self._held, STOP]
            elif self._held:
                self._next = [body, self._held.pop()]
            else:
                self._held.append(body)
        return [self._next.pop(0)]


class FillingAndSwappingChannel(FillingChannel):
    """And whatever comes through comes out of its order."""

    name = "filling-and-swapping"

    def consumer(self, index: int) -> Consumer:
        return _Late(super().consumer(index))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = {c.name: c for c in (FullChannel, FillingChannel, FillingAndSwappingChannel)}
    every = {**registry._channels(), **mine}
    monkeypatch.setattr(registry, "_channels", lambda: every)


def played(backend: str, scenario: str = "stress") -> Safety:
    return safety_of(play_order(backend, scenario, start_method="fork", drain_s=0.2, grace_s=2.0))


def test_where_every_producer_gave_up_nothing_is_said_of_order() -> None:
    safety = played("full")
    assert safety.gave_up.keys() == {"producer-0", "producer-1"}
    assert (safety.verdict, safety.broken, safety.counts["confirmed"]) == ("unknown", [], 0)


def test_where_one_producer_gave_up_the_others_do_not_make_the_trial_a_good_one() -> None:
    safety = played("filling")
    assert safety.gave_up.keys() == {"producer-1"}
    assert safety.counts["confirmed"] > 0
    assert (safety.verdict, safety.broken) == ("unknown", [])


def test_what_was_seen_to_break_counts_whoever_gave_up() -> None:
    safety = played("filling-and-swapping")
    assert safety.gave_up
    assert safety.verdict == "invalid"
    assert any("out of their producer's order" in line for line in texts(safety.broken))


def test_where_nothing_was_sent_at_all_nothing_is_said_of_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(order, "STRESSED", 0)
    record = play_order("simple-queue", "stress", start_method="fork", drain_s=0.2)
    safety = safety_of(record)
    assert (safety.gave_up, safety.counts["attempted"]) == ({}, 0)
    assert (safety.verdict, safety.finding) == ("unknown", "not one message was sent")
    assert of_trial(record) == "unknown"


def test_where_all_went_well_order_was_kept() -> None:
    assert played("simple-queue").verdict == "valid"
