"""What a confirm is worth: when the server is killed, comes back, or refuses a message."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager

import pika

from ipclab.backends.base import BrokerKind, Channel
from ipclab.backends.memcached.client import connect as connect_memcached
from ipclab.backends.redis.client import connect as connect_redis
from ipclab.conform import crash, ends, observers
from ipclab.conform.bench import Bench
from ipclab.conform.ends import Remote, RemoteError
from ipclab.conform.messages import bodies
from ipclab.conform.modes import Mode
from ipclab.conform.promise import BrokenPromise, Promise, require, require_same
from ipclab.conform.promises import which

LOG_OPENS_WITHIN_S = 15.0


@contextmanager
def _out_of_memory(channel: Channel) -> Iterator[None]:
    """Make Redis refuse every command that would take more memory."""
    with connect_redis(channel.site.broker_url) as client:
        client.config_set("maxmemory", 1)
        try:
            yield
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def _without_its_queues(channel: Channel) -> Iterator[None]:
    """Leave RabbitMQ no queue for a message, so that it returns the message."""
    url = channel.site.broker_url
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for queue in observers.names("rabbitmq", url, channel.site.namespace):
            connection.channel().queue_delete(queue)
    yield


@contextmanager
def _without_its_keys(channel: Channel) -> Iterator[None]:
    """Delete the keys of memcached, which does not increment what is not there."""
    url = channel.site.broker_url
    with closing(connect_memcached(url)) as client:
        client.delete_many(observers.names("memcached", url, channel.site.namespace))
    yield


REFUSALS: dict[BrokerKind, Callable[[Channel], AbstractContextManager[None]]] = {
    "redis": _out_of_memory,
    "rabbitmq": _without_its_queues,
    "memcached": _without_its_keys,
}


def _no_false_confirm(bench: Bench, mode: Mode) -> None:
    raised = crash.of(bench, mode).raised
    require(str(mode) in raised, "send() returned although the server had been killed")


def _survives(bench: Bench, mode: Mode) -> None:
    found = crash.of(bench, mode)
    confirmed = found.confirmed[str(mode)]
    consumer = _consumer_of(found, mode)
    require_same(consumer.call(ends.receive, len(confirmed)), confirmed)


def _consumer_of(found: crash.Crash, mode: Mode) -> Remote:
    """Return a consumer of a channel after the restart of its server.

    A server that answers may still be opening its logs, so a consumer of a log is started more than once.
    """
    until_s = time.monotonic() + LOG_OPENS_WITHIN_S
    while True:
        try:
            return found.bench.consumer(found.channels[str(mode)])
        except RemoteError:
            if not mode.guarantees.is_log or time.monotonic() > until_s:
                raise
            time.sleep(0.5)


def _no_false_confirm_of_a_helper(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    producer = bench.producer(channel)
    producer.call(ends.send, bodies(0, 1), 1)
    for pid in channel.server_pids():
        os.kill(pid, signal.SIGKILL)
    _require_error(producer, bodies(0, 1), 1, "the helper process had been killed")


def _refusal(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    producer = bench.producer(channel)
    producer.call(ends.send, bodies(0, 1), 1)
    assert channel.broker is not None
    with REFUSALS[channel.broker](channel):
        more = bodies(0, mode.window, first=1)
        _require_error(producer, more, mode.window, "the server refused the message")


def _require_error(producer: Remote, more: list[bytes], window: int, why: str) -> None:
    try:
        producer.call(ends.send, more, window)
    except RemoteError:
        return
    raise BrokenPromise(f"send() returned although {why}")


PROMISES = (
    Promise(
        "server-killed",
        "a message that a killed server cannot confirm is an error",
        "mode",
        which.served_confirming,
        _no_false_confirm,
        needs="breaks",
    ),
    Promise(
        "durable",
        "what was confirmed is there after the server was killed and started again",
        "mode",
        which.durable,
        _survives,
        needs="breaks",
    ),
    Promise(
        "helper-killed",
        "a message that a killed helper process cannot confirm is an error",
        "mode",
        which.helped,
        _no_false_confirm_of_a_helper,
    ),
    Promise(
        "refused",
        "a message that the server refuses is an error",
        "mode",
        which.refusable,
        _refusal,
        needs="breaks",
    ),
)
