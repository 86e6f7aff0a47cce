"""What is left of the messages that a consumer had received, and not acknowledged, when it was killed."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.conformance.conftest import Bench
from tests.support import ends
from tests.support.bodies import bodies, body
from tests.support.ends import Remote
from tests.support.modes import Mode

pytestmark = pytest.mark.timeout(60, method="signal")

QUIET_S = 0.3


def test_at_least_once_everything_it_held_is_delivered_again_to_another(
    bench: Bench, at_least_once_mode: Mode
) -> None:
    window = at_least_once_mode.window
    channel = bench.channel(at_least_once_mode, consumers=2)
    victim, producer = bench.consumer(channel, 0), bench.producer(channel)
    sent = bodies(0, window + 5)
    producer.call(ends.send, sent, window)
    assert victim.call(ends.take, 3)
    victim.kill()

    received = bench.consumer(channel, 1).call(ends.receive, len(sent))

    assert Counter(received) == Counter(sent)


def test_at_least_once_what_it_had_acknowledged_is_not_delivered_again(
    bench: Bench, at_least_once_mode: Mode
) -> None:
    window = at_least_once_mode.window
    channel = bench.channel(at_least_once_mode, consumers=2)
    victim, producer = bench.consumer(channel, 0), bench.producer(channel)
    sent = bodies(0, window + 5)
    producer.call(ends.send, sent, window)
    acknowledged = victim.call(ends.receive, 1)
    held = victim.call(ends.take, 1)
    victim.kill()
    assert held
    survivor = bench.consumer(channel, 1)

    received = survivor.call(ends.receive, len(sent) - len(acknowledged))
    producer.call(ends.send, [body(1, 0)], 1)
    received += survivor.call(ends.receive, 1)

    assert Counter(received + acknowledged) == Counter([*sent, body(1, 0)])


def test_at_least_once_an_acknowledgement_of_nothing_acknowledges_nothing(
    bench: Bench, at_least_once_mode: Mode
) -> None:
    window = at_least_once_mode.window
    channel = bench.channel(at_least_once_mode, consumers=2)
    producer, sent = bench.producer(channel), bodies(0, window + 5)
    producer.call(ends.send, sent, window)
    victim = bench.consumer(channel, 0)
    victim.call(ends.acknowledge)
    acknowledged = victim.call(ends.receive, 1)
    victim.call(ends.acknowledge)
    victim.kill()

    received = bench.consumer(channel, 1).call(ends.receive, len(sent) - len(acknowledged))

    assert Counter(received + acknowledged) == Counter(sent)


def test_at_most_once_nothing_that_it_had_received_is_delivered_again(
    bench: Bench, shared_at_most_once_mode: Mode
) -> None:
    window = shared_at_most_once_mode.window
    channel = bench.channel(shared_at_most_once_mode, consumers=2)
    victim, producer = bench.consumer(channel, 0), bench.producer(channel)
    sent = bodies(0, window + 5)
    producer.call(ends.send, sent, window)
    held = victim.call(ends.take, 3)
    victim.kill()
    survivor = bench.consumer(channel, 1)

    survivor.begin(ends.receive_until_stopped)
    producer.call(ends.send, [body(1, 0)], 1)
    received = all_that_comes(survivor, body(1, 0))

    assert body(1, 0) in received
    assert max(Counter(held + received).values()) == 1


def all_that_comes(consumer: Remote, last: bytes) -> list[bytes]:
    """What a consumer receives until ``last`` has come and then nothing: absence can only be waited for."""

    def received() -> list[bytes]:
        return [message for batch in consumer.items for message in batch]

    ends.listen([consumer], lambda: last in received(), ends.DEADLINE_S)
    while consumer.listen(QUIET_S):
        pass
    return received()
