"""What is particular to the Redis backends: crashes, cut-offs, windows, and calls that get no answer."""

from __future__ import annotations

import functools
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait

import pytest
import redis

from ipclab.backends.base import BrokerKind, Channel, OptionValue, Producer, Site
from ipclab.backends.redis import channels
from ipclab.backends.redis import counter as redis_counter
from ipclab.backends.redis.channels import (
    MAX_PUBSUB_BYTES,
    RedisListChannel,
    RedisPubSubChannel,
    RedisReliableListChannel,
    RedisStreamChannel,
)
from ipclab.backends.redis.client import connect
from ipclab.backends.redis.counter import RedisCounter
from ipclab.brokers import Broker
from ipclab.errors import BrokerUnavailableError

ALL = [RedisListChannel, RedisReliableListChannel, RedisStreamChannel, RedisPubSubChannel]
DEADLINE_S = 20.0


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"not within {DEADLINE_S} s: {what}"
        time.sleep(0.005)


@pytest.fixture(scope="module")
def server(private_broker_of: Callable[[BrokerKind], Broker]) -> Broker:
    """A private server, so that tests may stop it and look at all of it."""
    return private_broker_of("redis")


@pytest.fixture
def observer(server: Broker) -> Iterator[redis.Redis]:
    with connect(server.url) as client:
        yield client
        client.flushall()  # a server of our own


def make(kind: type[Channel], server: Broker, *, window: int = 1, **options: OptionValue) -> Channel:
    channel = kind(
        Site(namespace="ipclab:test", producers=1, consumers=2, window=window, url=server.url), **options
    )
    channel.setup()
    return channel


def send_and_flush(producer: Producer, *bodies: bytes) -> None:
    for body in bodies:
        producer.send(body)
    producer.flush()


def send(channel: Channel, *bodies: bytes) -> None:
    producer = channel.producer(0)
    send_and_flush(producer, *bodies)
    producer.close()


HOLD = """
import pickle, signal, sys
channel, count = pickle.load(sys.stdin.buffer)
consumer = channel.consumer(0)
held = 0
while held < count:
    held += len(consumer.receive())
print("held", flush=True)
signal.pause()
"""


@pytest.fixture
def holder() -> Iterator[Callable[[Channel, int], int]]:
    """Start a worker as consumer 0, and return its pid once it holds so many unacknowledged messages."""
    workers = []

    def start(channel: Channel, count: int) -> int:
        command = [sys.executable, "-c", HOLD]
        worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        workers.append(worker)
        assert worker.stdin is not None
        assert worker.stdout is not None
        worker.stdin.write(pickle.dumps((channel, count)))
        worker.stdin.close()
        assert worker.stdout.readline() == b"held\n"
        return worker.pid

    yield start
    for worker in workers:
        with worker:
            worker.kill()


@pytest.mark.parametrize("window", [1, 10])
@pytest.mark.parametrize(
    ("kind", "options"), [(RedisReliableListChannel, {}), (RedisStreamChannel, {"min_idle_ms": 1})]
)
def test_what_a_killed_consumer_held_comes_to_another_in_order(
    server: Broker,
    observer: redis.Redis,
    holder: Callable[[Channel, int], int],
    kind: type[Channel],
    options: dict[str, OptionValue],
    window: int,
) -> None:
    channel = make(kind, server, window=window, **options)
    bodies = [b"1", b"2", b"3"]
    send(channel, *bodies)
    os.kill(holder(channel, 3), signal.SIGKILL)
    survivor = channel.consumer(1)
    received: list[bytes] = []
    while len(received) < 3:
        received += survivor.receive()
        survivor.ack()
    survivor.close()
    assert received == bodies


def test_a_stopped_consumer_of_a_reliable_list_keeps_what_it_holds(
    server: Broker, observer: redis.Redis, holder: Callable[[Channel, int], int]
) -> None:
    channel = make(RedisReliableListChannel, server)
    send(channel, b"held")
    os.kill(holder(channel, 1), signal.SIGSTOP)
    idle = channel.consumer(1)

    def rescues() -> int:
        return int(observer.info("commandstats").get("cmdstat_client|list", {"calls": 0})["calls"])

    before = rescues()
    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(idle.receive)
        wait_for(lambda: rescues() > before, "the idle consumer looks for messages to rescue")
        send(channel, b"new")
        assert list(receiving.result(DEADLINE_S)) == [b"new"]
    idle.close()


def test_a_consumer_of_a_reliable_list_that_closes_gives_back_what_it_did_not_acknowledge(
    server: Broker, observer: redis.Redis
) -> None:
    channel = make(RedisReliableListChannel, server, window=10)
    send(channel, b"1", b"2", b"3")
    first = channel.consumer(0)
    assert list(first.receive()) == [b"1", b"2", b"3"]
    first.close()
    again = channel.consumer(1)
    assert list(again.receive()) == [b"1", b"2", b"3"]
    again.ack()
    again.close()
    assert observer.keys("ipclab:test:*") == []


def test_an_acknowledged_stream_entry_takes_no_memory_any_more(server: Broker, observer: redis.Redis) -> None:
    channel = make(RedisStreamChannel, server, window=10)
    send(channel, b"1", b"2")
    consumer = channel.consumer(0)
    assert list(consumer.receive()) == [b"1", b"2"]
    assert observer.xlen("ipclab:test:messages") == 2
    consumer.ack()
    assert observer.xlen("ipclab:test:messages") == 0
    consumer.close()


def test_a_subscriber_that_the_server_cut_off_subscribes_again(server: Broker, observer: redis.Redis) -> None:
    channel = make(RedisPubSubChannel, server)
    consumer = channel.consumer(0)
    (before,) = (client["id"] for client in observer.client_list(_type="pubsub"))
    observer.client_kill_filter(_id=before)

    def subscribed_anew() -> bool:
        return [client["id"] for client in observer.client_list(_type="pubsub")] not in ([], [before])

    with ThreadPoolExecutor(1) as pool:
        receiving = pool.submit(consumer.receive)
        wait_for(subscribed_anew, "the consumer subscribes again")

        def received() -> bool:
            send(channel, b"after")
            return bool(wait([receiving], timeout=1).done)

        wait_for(received, "the consumer receives what is published now")
        assert list(receiving.result()) == [b"after"]
    consumer.close()


def test_publish_and_subscribe_carries_the_largest_message_that_it_declares(
    server: Broker, observer: redis.Redis
) -> None:
    channel = make(RedisPubSubChannel, server)
    consumer = channel.consumer(0)
    largest = bytes(MAX_PUBSUB_BYTES)
    sending = threading.Thread(target=send, args=(channel, largest))
    sending.start()
    assert list(consumer.receive()) == [largest]
    sending.join(DEADLINE_S)
    consumer.close()


def test_with_a_window_nothing_is_sent_before_flush(server: Broker, observer: redis.Redis) -> None:
    channel = make(RedisListChannel, server, window=3)
    producer = channel.producer(0)
    for body in (b"1", b"2", b"3"):
        producer.send(body)
    assert observer.llen("ipclab:test:messages") == 0
    producer.flush()
    assert observer.lrange("ipclab:test:messages", 0, -1) == [b"1", b"2", b"3"]
    producer.close()


@pytest.mark.parametrize("window", [1, 2])
def test_a_send_that_got_no_answer_is_not_sent_again(
    server: Broker, observer: redis.Redis, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    monkeypatch.setattr(channels, "connect", functools.partial(connect, reply_timeout_s=0.2))
    channel = make(RedisListChannel, server, window=window)
    producer = channel.producer(0)
    server.pause()
    try:
        with pytest.raises(redis.TimeoutError):
            send_and_flush(producer, b"once")
    finally:
        server.resume()
    wait_for(lambda: observer.llen("ipclab:test:messages") > 0, "the server reads what it was sent")
    producer.close()
    assert observer.lrange("ipclab:test:messages", 0, -1) == [b"once"]


def test_a_watched_increment_whose_exec_got_no_answer_is_not_made_again(
    server: Broker, observer: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_counter, "connect", functools.partial(connect, reply_timeout_s=0.2))
    counter = RedisCounter(Site(namespace="ipclab:test", url=server.url), discipline="watch")
    counter.setup()
    client = counter.client(0)
    execute, reset = redis.client.Pipeline.execute, redis.client.Pipeline.reset

    def execute_unanswered(pipeline: redis.client.Pipeline) -> list[object]:
        server.pause()
        return execute(pipeline)

    def reset_with_the_server_back(pipeline: redis.client.Pipeline) -> None:
        # Only then does redis-py report the time-out as a WatchError, which asks for another go.
        monkeypatch.undo()
        server.resume()
        reset(pipeline)

    monkeypatch.setattr(redis.client.Pipeline, "execute", execute_unanswered)
    monkeypatch.setattr(redis.client.Pipeline, "reset", reset_with_the_server_back)
    with pytest.raises(redis.TimeoutError):
        client.increment()
    wait_for(lambda: observer.get("ipclab:test:counter") != b"0", "the server carries EXEC out")
    assert client.read() == 1
    client.close()


def test_a_lock_whose_holder_died_frees_itself(server: Broker, observer: redis.Redis) -> None:
    counter = RedisCounter(Site(namespace="ipclab:test", url=server.url), discipline="lock")
    counter.setup()
    observer.set("ipclab:test:lock", "of the dead", px=50)
    client = counter.client(0)
    client.increment()
    assert client.read() == 1
    client.close()
    assert observer.exists("ipclab:test:lock") == 0


@pytest.mark.parametrize("kind", ALL)
def test_teardown_deletes_its_own_keys_and_no_other(
    server: Broker, observer: redis.Redis, holder: Callable[[Channel, int], int], kind: type[Channel]
) -> None:
    observer.set("ipclab:tested", "of somebody else")
    channel = make(kind, server)
    send(channel, b"1", b"2")
    if kind is not RedisPubSubChannel:
        holder(channel, 1)
    channel.teardown()
    channel.teardown()
    assert observer.keys("*") == [b"ipclab:tested"]


@pytest.mark.parametrize("kind", ALL)
def test_an_unreachable_server_is_named_without_its_password(kind: type[Channel]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    channel = kind(Site(namespace="ipclab:test", url=f"redis://:secret@127.0.0.1:{port}/0"))
    with pytest.raises(BrokerUnavailableError, match=f"127.0.0.1:{port}") as raised:
        channel.setup()
    assert "secret" not in str(raised.value)


def test_the_url_cannot_bring_retries_or_timeouts_back(server: Broker) -> None:
    with connect(f"{server.url}?protocol=3&socket_timeout=1&retry_on_timeout=yes") as client:
        connection = client.connection
        assert connection is not None
        assert connection.retry.get_retries() == 0
        assert connection.protocol == 2
        assert connection.socket_timeout == 10
