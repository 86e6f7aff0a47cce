"""What is particular to the memcached backends: tickets, slots, holes, and the largest item."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest
from pymemcache.client.base import Client
from pymemcache.exceptions import MemcacheServerError

from ipclab.backends.base import BrokerKind, OptionValue, Producer, Site
from ipclab.backends.memcached.channels import MemcachedTicketChannel
from ipclab.backends.memcached.client import connect
from ipclab.backends.memcached.counter import MemcachedCounter
from ipclab.backends.memcached.shared import MemcachedMutex
from ipclab.brokers import Broker
from ipclab.errors import BrokerUnavailableError, ChannelError, MessageTooLargeError

DEADLINE_S = 20.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def url(private_broker_of: Callable[[BrokerKind], Broker]) -> str:
    """A private server, so that tests may look at all of it."""
    return private_broker_of("memcached").url


@pytest.fixture
def observer(url: str) -> Iterator[Client]:
    with closing(connect(url)) as client:
        yield client
        client.flush_all()  # a server of our own


def make(url: str, *, window: int = 1, **options: OptionValue) -> MemcachedTicketChannel:
    site = Site(namespace="ipclab:test", consumers=2, window=window, url=url)
    channel = MemcachedTicketChannel(site, **options)
    channel.setup()
    return channel


def send_and_flush(producer: Producer, *bodies: bytes) -> None:
    for body in bodies:
        producer.send(body)
    producer.flush()


def send(channel: MemcachedTicketChannel, *bodies: bytes) -> None:
    with closing(channel.producer(0)) as producer:
        send_and_flush(producer, *bodies)


def test_a_slot_is_deleted_once_it_was_read(url: str, observer: Client) -> None:
    channel = make(url)
    send(channel, b"body")
    assert observer.get("ipclab:test:1") == b"body"
    with closing(channel.consumer(0)) as consumer:
        assert list(consumer.receive()) == [b"body"]
        wait_for(lambda: observer.get("ipclab:test:1") is None, "the slot is deleted")


def test_with_a_window_a_consumer_takes_no_ticket_of_a_message_yet_to_come(
    url: str, observer: Client
) -> None:
    channel = make(url, window=100)
    send(channel, b"1", b"2")
    with closing(channel.consumer(0)) as first, closing(channel.consumer(1)) as second:
        assert list(first.receive()) == [b"1", b"2"]
        send(channel, b"3")
        assert list(second.receive()) == [b"3"]


@pytest.mark.parametrize("window", [1, 10])
def test_a_slot_that_its_producer_never_filled_is_passed_over(
    url: str, observer: Client, window: int
) -> None:
    channel = make(url, window=window, patience_ms=20)
    observer.incr("ipclab:test:tail", 1)
    send(channel, b"after the hole")
    with closing(channel.consumer(0)) as consumer:
        assert list(consumer.receive()) == [b"after the hole"]


def test_of_many_holes_only_the_first_costs_the_patience(url: str, observer: Client) -> None:
    channel = make(url, patience_ms=1000)
    observer.incr("ipclab:test:tail", 200)
    send(channel, b"after 200 holes")
    with closing(channel.consumer(0)) as consumer, ThreadPoolExecutor(1) as pool:
        assert list(pool.submit(consumer.receive).result(DEADLINE_S)) == [b"after 200 holes"]


def test_an_empty_queue_is_waited_at_for_longer_than_the_patience(url: str, observer: Client) -> None:
    channel = make(url, patience_ms=1, max_pause_us=100)
    before = int(observer.stats()[b"get_misses"])
    with closing(channel.consumer(0)) as consumer, ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(consumer.receive)
        wait_for(lambda: int(observer.stats()[b"get_misses"]) > before + 200, "the consumer polls")
        send(channel, b"late")
        assert list(receiving.result(DEADLINE_S)) == [b"late"]


def test_the_largest_declared_body_fits_with_the_longest_ticket_and_no_larger_one_does(
    url: str, observer: Client
) -> None:
    channel = make(url)
    largest = channel.guarantees.max_message_bytes
    assert largest is not None
    observer.set("ipclab:test:tail", str(10**19))
    send(channel, bytes(largest))
    slot = f"ipclab:test:{10**19 + 1}"
    assert observer.get(slot) == bytes(largest)
    with pytest.raises(MemcacheServerError):
        observer.set(slot, bytes(largest + 1))


@pytest.mark.parametrize("window", [1, 10])
def test_a_body_that_is_too_large_takes_no_ticket(url: str, observer: Client, window: int) -> None:
    channel = make(url, window=window)
    with pytest.raises(MessageTooLargeError):
        send(channel, bytes(1024 * 1024))
    assert observer.get("ipclab:test:tail") == b"0"


@pytest.mark.parametrize("window", [1, 10])
def test_a_server_that_lost_the_tickets_is_said_so(url: str, observer: Client, window: int) -> None:
    channel = make(url, window=window)
    with closing(channel.producer(0)) as producer, closing(channel.consumer(0)) as consumer:
        observer.delete_many(["ipclab:test:head", "ipclab:test:tail"])
        with pytest.raises(ChannelError, match="no longer has"):
            consumer.receive()
        with pytest.raises(ChannelError, match="no longer has"):
            send_and_flush(producer, b"body")


def test_teardown_deletes_its_own_keys_and_no_other(url: str, observer: Client) -> None:
    observer.set("ipclab:tested", b"of somebody else")
    channel = make(url, window=10)
    send(channel, *[b"body"] * 2500)
    with closing(channel.consumer(0)) as consumer:
        consumer.receive()
    channel.teardown()
    channel.teardown()
    assert int(observer.stats()[b"curr_items"]) == 1
    assert observer.get("ipclab:tested") == b"of somebody else"


def test_a_lock_whose_holder_died_frees_itself(url: str, observer: Client) -> None:
    site = Site(namespace="ipclab:test", url=url)
    counter = MemcachedCounter(site, discipline="add-lock")
    counter.setup()
    observer.set("ipclab:test:lock", b"of the dead", expire=1)
    with closing(counter.client(0)) as client:
        client.increment()
        assert client.read() == 1
    assert observer.get("ipclab:test:lock") is None


def test_a_number_that_came_after_the_lock_had_gone_to_somebody_else_is_not_used(
    url: str, observer: Client
) -> None:
    mutex = MemcachedMutex(Site(namespace="ipclab:test", url=url), ttl_s=5)
    mutex.setup()
    with closing(mutex.client(0)) as held_up:
        inner = held_up._client
        incr = inner.incr

        def late_incr(key: str, by: int) -> int | None:
            inner.incr = incr
            observer.set(mutex.key, "of somebody else", expire=1)
            assert observer.incr(key, 1) == 1
            return incr(key, by)

        inner.incr = late_incr
        assert held_up.acquire() == 3
        assert observer.get(mutex.key) not in (None, b"of somebody else")
    mutex.teardown()


def test_an_unreachable_server_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    with pytest.raises(BrokerUnavailableError, match=f"127.0.0.1:{port}"):
        MemcachedTicketChannel(Site(namespace="ipclab:test", url=f"127.0.0.1:{port}")).setup()
