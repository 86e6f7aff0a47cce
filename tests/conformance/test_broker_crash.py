"""What a confirm is worth: when the server is killed, comes back, or refuses a message."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager

import pika
import pytest

from ipclab.backends.base import BrokerKind, Channel
from ipclab.backends.memcached.client import connect as connect_memcached
from ipclab.backends.redis.client import connect as connect_redis
from ipclab.brokers import Broker
from tests.conformance.conftest import MODES, Bench
from tests.support import ends, modes, observers
from tests.support.bodies import bodies
from tests.support.ends import Remote, RemoteError
from tests.support.modes import Mode

pytestmark = pytest.mark.timeout(120, method="signal")

BrokerOf = Callable[[BrokerKind], Broker]
SETTLE_S = 3.0
"""A RabbitMQ that is killed within about a second of the declaration of a quorum queue loses the queue."""


@contextmanager
def out_of_memory(channel: Channel) -> Iterator[None]:
    """Redis refuses every command that would take more memory."""
    with connect_redis(channel.site.broker_url) as client:
        client.config_set("maxmemory", 1)
        yield
        client.config_set("maxmemory", 0)


@contextmanager
def without_its_queues(channel: Channel) -> Iterator[None]:
    """RabbitMQ has no queue for a message, and returns it."""
    url = channel.site.broker_url
    with pika.BlockingConnection(pika.URLParameters(url)) as connection:
        for queue in observers.names("rabbitmq", url, channel.site.namespace):
            connection.channel().queue_delete(queue)
    yield


@contextmanager
def without_its_keys(channel: Channel) -> Iterator[None]:
    """memcached does not increment what is not there."""
    url = channel.site.broker_url
    with closing(connect_memcached(url)) as client:
        client.delete_many(observers.names("memcached", url, channel.site.namespace))
    yield


REFUSALS: dict[BrokerKind, Callable[[Channel], AbstractContextManager[None]]] = {
    "redis": out_of_memory,
    "rabbitmq": without_its_queues,
    "memcached": without_its_keys,
}


class Crash:
    """All modes of a kind of server in use when it is killed, and after it was started again."""

    def __init__(self, kind: BrokerKind, used: list[Mode], broker_of: BrokerOf, stack: ExitStack) -> None:
        self.bench = Bench(stack, broker_of)
        self.channels = {str(mode): self.bench.channel(mode) for mode in used}
        self.confirmed: dict[str, list[bytes]] = {str(mode): [] for mode in used}
        self.raised: dict[str, str] = {}
        producers = [(mode, self.bench.producer(self.channels[str(mode)])) for mode in used]
        settled_at = time.monotonic() + SETTLE_S * any(m.guarantees.durability == "quorum" for m in used)
        while True:
            for mode, producer in producers:
                self._send(mode, producer)
            if time.monotonic() > settled_at:
                break
        broker = broker_of(kind)
        broker.kill()
        for mode, producer in producers:
            try:
                self._send(mode, producer)
            except RemoteError as error:
                self.raised[str(mode)] = str(error)
        broker.restart()

    def _send(self, mode: Mode, producer: Remote) -> None:
        more = bodies(0, mode.window, first=len(self.confirmed[str(mode)]))
        producer.call(ends.send, more, mode.window)
        self.confirmed[str(mode)] += more


@pytest.fixture(scope="module")
def crash_of(private_broker_of: BrokerOf, pytestconfig: pytest.Config) -> Iterator[Callable[[Mode], Crash]]:
    """The crash of the server of a mode: one for each kind, as starting again takes its time."""
    crashes: dict[BrokerKind, Crash] = {}
    wanted = [
        mode
        for mode in modes.with_windows(modes.channels(pytestconfig.getoption("--backend")))
        if MODES["served_confirming_mode"](mode)
    ]
    with ExitStack() as stack:

        def find(mode: Mode) -> Crash:
            kind = mode.channel.broker
            assert kind is not None
            if kind not in crashes:
                used = [m for m in wanted if m.channel.broker == kind]
                crashes[kind] = Crash(kind, used, private_broker_of, stack)
            return crashes[kind]

        yield find


def test_a_message_that_a_killed_server_cannot_confirm_is_an_error(
    crash_of: Callable[[Mode], Crash], served_confirming_mode: Mode
) -> None:
    assert str(served_confirming_mode) in crash_of(served_confirming_mode).raised


def test_what_was_confirmed_is_there_after_the_server_was_killed_and_started_again(
    crash_of: Callable[[Mode], Crash], durable_mode: Mode
) -> None:
    crash, mode = crash_of(durable_mode), str(durable_mode)
    confirmed = crash.confirmed[mode]

    received = crash.bench.consumer(crash.channels[mode]).call(ends.receive, len(confirmed))

    assert sorted(received) == sorted(confirmed)


def test_a_message_that_a_killed_helper_process_cannot_confirm_is_an_error(
    bench: Bench, helped_mode: Mode
) -> None:
    channel = bench.channel(helped_mode)
    producer = bench.producer(channel)
    producer.call(ends.send, bodies(0, 1), 1)
    for pid in channel.server_pids():
        os.kill(pid, signal.SIGKILL)

    with pytest.raises(RemoteError):
        producer.call(ends.send, bodies(0, 1), 1)


def test_a_message_that_the_server_refuses_is_an_error(
    private_broker_of: BrokerOf, refusable_mode: Mode
) -> None:
    with ExitStack() as stack:
        bench = Bench(stack, private_broker_of)
        channel = bench.channel(refusable_mode)
        producer = bench.producer(channel)
        producer.call(ends.send, bodies(0, 1), 1)
        assert channel.broker is not None
        stack.enter_context(REFUSALS[channel.broker](channel))

        with pytest.raises(RemoteError):
            producer.call(ends.send, bodies(0, refusable_mode.window, first=1), refusable_mode.window)
