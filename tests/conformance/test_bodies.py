"""Which bodies a channel carries: any bytes up to its largest size, and none above that is lost silently."""

from __future__ import annotations

import random

import pytest

from ipclab.errors import MessageTooLargeError
from ipclab.trial.check import check
from ipclab.trial.spec import TrialSpec
from tests.conformance.conftest import Bench
from tests.support import ends
from tests.support.ends import Remote, RemoteError
from tests.support.modes import Mode

pytestmark = pytest.mark.timeout(60, method="signal")

BODIES = {
    "16 bytes": [bytes(range(16))],
    "every byte value": [bytes(range(256)), bytes(reversed(range(256)))],
    "line ends, zeros and 0xCE, which protocols end their frames with": [
        b"\r\n" * 40,
        bytes(64),
        b"\xce" * 64,
    ],
    "64 KiB": [random.Random(1).randbytes(65_536), random.Random(2).randbytes(65_536)],
}


def test_any_bytes_arrive_as_they_were_sent(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)

    most = channel.guarantees.max_message_bytes
    for what, full in BODIES.items():
        sent = [body[:most] for body in full]
        producer.begin(ends.send, sent, mode.window)
        assert sorted(consumer.call(ends.receive, len(sent))) == sorted(sent), what
        producer.result()


def test_a_message_of_the_largest_declared_size_arrives(bench: Bench, limited_mode: Mode) -> None:
    channel = bench.channel(limited_mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)

    assert send_one(producer, consumer, largest_of(channel.guarantees.max_message_bytes)) == "arrived"


def test_a_message_above_the_largest_declared_size_is_an_error_or_arrives_whole(
    bench: Bench, limited_mode: Mode
) -> None:
    channel = bench.channel(limited_mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)

    assert send_one(producer, consumer, largest_of(channel.guarantees.max_message_bytes) + b"!") in (
        "refused",
        "arrived",
    )


def test_a_trial_with_messages_above_the_largest_declared_size_is_refused(limited_mode: Mode) -> None:
    most = limited_mode.guarantees.max_message_bytes
    assert most is not None
    spec = TrialSpec(
        workload="stream", backend=limited_mode.variant, window=limited_mode.window, size_bytes=most + 100
    )

    with pytest.raises(MessageTooLargeError, match="too large"):
        check(spec)


def largest_of(size_bytes: int | None) -> bytes:
    assert size_bytes is not None
    return random.Random(3).randbytes(size_bytes)


def send_one(producer: Remote, consumer: Remote, body: bytes) -> str:
    """What became of a message; ``lost`` where neither an error nor the message itself came out."""
    consumer.begin(ends.receive, 1)
    try:
        producer.call(ends.send, [body], 1)
        producer.call(ends.close)
    except RemoteError:
        return "refused"
    try:
        return "arrived" if consumer.result() == [body] else "changed"
    except TimeoutError:
        return "lost"
