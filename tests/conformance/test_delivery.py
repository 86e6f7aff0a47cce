"""What every channel promises while nothing fails: all of it, once, intact, and in order where declared."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from tests.conformance.conftest import Bench
from tests.support import ends
from tests.support.bodies import bodies, sequences
from tests.support.modes import Mode

pytestmark = pytest.mark.timeout(60, method="signal")

EACH = 100


def test_every_message_of_several_producers_reaches_one_of_several_consumers_once_and_intact(
    bench: Bench, queueing_mode: Mode
) -> None:
    channel = bench.channel(queueing_mode, producers=3, consumers=3)
    sent = [bodies(producer, EACH) for producer in range(channel.site.producers)]

    received = bench.exchange(channel, sent)

    assert Counter(chain(*received)) == Counter(chain(*sent))


def test_every_message_of_several_producers_reaches_each_of_several_consumers_once_and_intact(
    bench: Bench, fan_out_mode: Mode
) -> None:
    channel = bench.channel(fan_out_mode, producers=3, consumers=3)
    sent = [bodies(producer, EACH) for producer in range(channel.site.producers)]

    received = bench.exchange(channel, sent)

    assert [Counter(got) for got in received] == [Counter(chain(*sent))] * channel.site.consumers


def test_no_consumer_sees_a_message_after_a_later_one_of_the_same_producer(
    bench: Bench, ordered_mode: Mode
) -> None:
    channel = bench.channel(ordered_mode, producers=3, consumers=2)
    sent = [bodies(producer, EACH) for producer in range(channel.site.producers)]

    for got in bench.exchange(channel, sent):
        for producer in range(channel.site.producers):
            seen = sequences(got, producer)
            assert seen == sorted(seen)


def test_a_producer_that_closes_hands_over_what_it_had_not_flushed(
    bench: Bench, handing_over_mode: Mode
) -> None:
    channel = bench.channel(handing_over_mode)
    consumer = bench.consumer(channel)
    producer = bench.producer(channel)
    sent = bodies(0, handing_over_mode.window // 2 + 1)

    producer.call(ends.send_unflushed, sent)
    producer.call(ends.close)
    producer.leave()

    assert Counter(consumer.call(ends.receive, len(sent))) == Counter(sent)


def test_what_was_confirmed_arrives_although_its_producer_is_killed(
    bench: Bench, producer_proof_mode: Mode
) -> None:
    channel = bench.channel(producer_proof_mode)
    consumer = bench.consumer(channel)
    producer = bench.producer(channel)
    sent = bodies(0, 2 * producer_proof_mode.window)

    producer.call(ends.send, sent, producer_proof_mode.window)
    producer.kill()

    assert Counter(consumer.call(ends.receive, len(sent))) == Counter(sent)


def test_no_more_than_a_window_is_handed_over_at_once(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)

    got = ends.exchange(
        [producer], [consumer], [bodies(0, 3 * mode.window)], window=mode.window, owed=3 * mode.window
    )

    assert len(got[0]) == 3 * mode.window
    assert max(len(batch) for batch in consumer.items) <= mode.window


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_channel_travels_to_workers_of_every_start_method(
    bench: Bench, channel_name: str, start_method: str
) -> None:
    channel = bench.channel(Mode.of(channel_name), start_method=start_method)  # type: ignore[arg-type]

    received = bench.exchange(channel, [bodies(0, 5)])

    assert Counter(received[0]) == Counter(bodies(0, 5))
