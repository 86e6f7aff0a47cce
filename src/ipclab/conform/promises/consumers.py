"""What is left of the messages that a consumer had received, and not acknowledged, when it was killed."""

from __future__ import annotations

from collections import Counter

from ipclab.conform import ends
from ipclab.conform.bench import Bench
from ipclab.conform.ends import Remote
from ipclab.conform.messages import bodies, body
from ipclab.conform.modes import Mode
from ipclab.conform.promise import Promise, require, require_same
from ipclab.conform.promises import which

QUIET_S = 0.3


def _held_again(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, consumers=2)
    victim, producer = bench.consumer(channel, 0), bench.producer(channel)
    sent = bodies(0, mode.window + 5)
    producer.call(ends.send, sent, mode.window)
    require(bool(victim.call(ends.take, 3)), "the first consumer received nothing")
    victim.kill()
    require_same(bench.consumer(channel, 1).call(ends.receive, len(sent)), sent)


def _acknowledged_not_again(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, consumers=2)
    victim, producer = bench.consumer(channel, 0), bench.producer(channel)
    sent = bodies(0, mode.window + 5)
    producer.call(ends.send, sent, mode.window)
    acknowledged = victim.call(ends.receive, 1)
    require(bool(victim.call(ends.take, 1)), "the first consumer received nothing after its acknowledgement")
    victim.kill()
    survivor = bench.consumer(channel, 1)
    received = survivor.call(ends.receive, len(sent) - len(acknowledged))
    producer.call(ends.send, [body(1, 0)], 1)
    received += survivor.call(ends.receive, 1)
    require_same(received + acknowledged, [*sent, body(1, 0)])


def _empty_acknowledgement(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, consumers=2)
    producer, sent = bench.producer(channel), bodies(0, mode.window + 5)
    producer.call(ends.send, sent, mode.window)
    victim = bench.consumer(channel, 0)
    victim.call(ends.acknowledge)
    acknowledged = victim.call(ends.receive, 1)
    victim.call(ends.acknowledge)
    victim.kill()
    received = bench.consumer(channel, 1).call(ends.receive, len(sent) - len(acknowledged))
    require_same(received + acknowledged, sent)


def _never_again(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, consumers=2)
    victim, producer = bench.consumer(channel, 0), bench.producer(channel)
    sent = bodies(0, mode.window + 5)
    producer.call(ends.send, sent, mode.window)
    held = victim.call(ends.take, 3)
    victim.kill()
    survivor = bench.consumer(channel, 1)
    survivor.begin(ends.receive_until_stopped)
    last = body(1, 0)
    producer.call(ends.send, [last], 1)
    received = _all_that_comes(survivor, last)
    require(last in received, "the second consumer did not receive a message that was sent to it")
    again = sum(1 for times in Counter(held + received).values() if times > 1)
    require(not again, f"{again} messages were delivered twice")


def _all_that_comes(consumer: Remote, last: bytes) -> list[bytes]:
    """Return what a consumer receives until ``last`` has come and then nothing more for a while."""

    def received() -> list[bytes]:
        return [message for batch in consumer.items for message in batch]

    ends.listen([consumer], lambda: last in received(), ends.DEADLINE_S)
    while consumer.listen(QUIET_S):
        pass
    return received()


PROMISES = (
    Promise(
        "redelivers",
        "what a killed consumer had not acknowledged reaches another one",
        "mode",
        which.at_least_once,
        _held_again,
    ),
    Promise(
        "acknowledged",
        "what a killed consumer had acknowledged is not delivered again",
        "mode",
        which.forgetting,
        _acknowledged_not_again,
    ),
    Promise(
        "empty-ack",
        "an acknowledgement of nothing acknowledges nothing",
        "mode",
        which.forgetting,
        _empty_acknowledgement,
    ),
    Promise(
        "at-most-once",
        "what a killed consumer had received is not delivered again",
        "mode",
        which.shared_at_most_once,
        _never_again,
    ),
)
