"""The channels of the standard library without a lock: what fits, and what is refused."""

from __future__ import annotations

import pickle
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from ipclab.backends.base import Channel, Site
from ipclab.backends.local.listener import ListenerUnixChannel
from ipclab.backends.local.ring import NaiveRingChannel, RingChannel
from ipclab.backends.local.socketpair import LARGEST_BYTES, SocketpairChannel
from ipclab.backends.local.sqlite import SqliteChannel
from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.faults.applicability import why_not
from ipclab.faults.spec import FaultSpec
from ipclab.host import segments
from ipclab.results.rows.classes import guarantee_class
from ipclab.trial import judge

SITE = Site(namespace="ipclab:test")


@contextmanager
def made(channel: Channel) -> Iterator[Channel]:
    channel.setup()
    try:
        yield channel
    finally:
        channel.teardown()


@pytest.mark.parametrize(
    "channel",
    [SocketpairChannel(SITE), RingChannel(SITE), ListenerUnixChannel(SITE), SqliteChannel(SITE)],
    ids=lambda channel: channel.name,
)
def test_messages_of_any_bytes_arrive_in_order_and_the_empty_one_too(channel: Channel) -> None:
    bodies = [b"", b"\0", b"a" * 20_000, bytes(range(256))]
    with made(channel):
        consumer, producer = channel.consumer(0), channel.producer(0)
        for body in bodies:
            producer.send(body)
        got = [body for _ in bodies for body in consumer.receive()]
        producer.close()
        consumer.close()
    assert got == bodies


def test_the_ring_goes_round_its_end_and_takes_a_message_of_its_whole_size() -> None:
    with made(RingChannel(SITE, ring_kib=1)) as ring:
        consumer, producer = ring.consumer(0), ring.producer(0)
        for size_bytes in (1016, 700, 600, 0, 1016, 1, 1015):
            body = bytes(at % 251 for at in range(size_bytes))
            producer.send(body)
            assert list(consumer.receive()) == [body]
        assert ring.guarantees.max_message_bytes == 1016
        with pytest.raises(ValueError, match="1017 bytes do not fit into a ring of 1024 bytes"):
            producer.send(bytes(1017))
        producer.close()
        consumer.close()
    assert not list(segments.FOLDER.glob(f"{segments.prefix()}ring-*"))


def test_a_writer_that_is_killed_within_a_message_leaves_nothing_of_it_in_the_ring() -> None:
    with made(RingChannel(SITE, ring_kib=1)) as ring:
        consumer, victim = ring.consumer(0), ring.producer(0)
        # All that a send does before its last store, which makes the message appear.
        victim._write(victim._words[8], b"torn")  # type: ignore[attr-defined]
        victim.close()
        successor = ring.producer(0)
        successor.send(b"whole")
        assert list(consumer.receive()) == [b"whole"]
        successor.close()
        consumer.close()


def test_the_ring_is_refused_where_the_order_of_stores_is_not_that_of_x86(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(UsageError, match="shm-ring needs the order of stores of x86, and this is aarch64"):
        RingChannel(SITE).setup()


def test_a_datagram_above_the_limit_is_an_error_or_arrives_whole() -> None:
    with made(SocketpairChannel(SITE)) as channel:
        producer, consumer = channel.producer(0), channel.consumer(0)
        producer.send(bytes(LARGEST_BYTES))
        assert list(consumer.receive()) == [bytes(LARGEST_BYTES)]
        with pytest.raises(OSError, match="too long"):
            producer.send(bytes(LARGEST_BYTES + 20_000))


def test_a_listener_drops_the_connection_of_a_producer_that_died_within_a_message() -> None:
    with made(ListenerUnixChannel(SITE)) as channel:
        consumer, victim, other = channel.consumer(0), channel.producer(0), channel.producer(1)
        victim.send(b"whole")
        # A length of 100 bytes, and 3 of them.
        victim._connection._send(b"\0\0\0dabc")  # type: ignore[attr-defined]
        victim.close()
        assert list(consumer.receive()) == [b"whole"]
        other.send(b"other")
        assert list(consumer.receive()) == [b"other"]
        other.close()
        consumer.close()


@pytest.mark.parametrize(
    ("name", "reason"),
    [("socketpair", "the kernel takes and gives each datagram whole"), ("shm-ring", "appears in the ring")],
)
@pytest.mark.parametrize("target", ["producer", "consumer"])
def test_the_middle_of_an_atomic_message_is_not_tried_and_the_reason_is_known(
    name: str, reason: str, target: str
) -> None:
    asked = FaultSpec(action="kill", target=target, moment="mid-message")  # type: ignore[arg-type]
    assert reason in why_not(asked, Variant(name))
    assert not why_not(FaultSpec(action="kill", target=target, moment="busy"), Variant(name))  # type: ignore[arg-type]


def test_an_unpickled_ring_does_not_own_the_segment() -> None:
    with made(RingChannel(SITE, ring_kib=1)) as ring:
        copy: RingChannel = pickle.loads(pickle.dumps(ring))
        copy.teardown()
        ring.producer(0).close()


def test_two_writers_that_read_the_same_tail_of_a_naive_ring_lose_a_message() -> None:
    """Forced: the second writer has read the tail before the first one has moved it."""
    with made(NaiveRingChannel(SITE, ring_kib=1)) as ring:
        first, second, consumer = ring.producer(0), ring.producer(1), ring.consumer(0)
        tail = second._words[8]  # type: ignore[attr-defined]
        first.send(b"first")
        second._words[8] = tail  # type: ignore[attr-defined]
        second.send(b"other")
        assert list(consumer.receive()) == [b"other"]
        assert consumer._words[0] == consumer._words[8]  # type: ignore[attr-defined]
        for end in (first, second, consumer):
            end.close()


def test_a_reader_of_a_naive_ring_skips_what_others_have_torn() -> None:
    with made(NaiveRingChannel(SITE, ring_kib=1)) as ring:
        producer, consumer = ring.producer(0), ring.consumer(0)
        producer.send(b"torn")
        producer._write(0, b"\xff" * 8)  # type: ignore[attr-defined]
        reader = threading.Thread(target=lambda: got.extend(consumer.receive()), daemon=True)
        got: list[bytes] = []
        reader.start()
        while consumer._words[0] != consumer._words[8]:  # type: ignore[attr-defined]
            time.sleep(0.001)
        producer.send(b"whole")
        reader.join(30)
        assert got == [b"whole"]
        producer.close()
        consumer.close()


def test_an_unsafe_channel_breaks_nothing_by_what_it_loses_and_is_called_unsafe() -> None:
    declared = NaiveRingChannel(SITE).guarantees
    assert judge.promise({"lost": 5, "duplicated": 2, "corrupted": 1}, declared, None, fault=False) == []
    assert guarantee_class(declared.described()).title == "Shared state: unsafe disciplines"
    assert "safe" not in RingChannel(SITE).guarantees.described()
