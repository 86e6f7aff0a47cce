"""Memory exhaustion on real servers: it is there, it is told, and it is gone afterwards."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pika
import pika.exceptions
import pytest
import redis

from ipclab.backends.base import BrokerKind
from ipclab.backends.memcached import client as memcached_client
from ipclab.backends.redis.client import connect
from ipclab.brokers import KINDS, Broker, Fleet, acquire
from ipclab.brokers.pressure import squeezed
from ipclab.brokers.settings import applied
from ipclab.errors import UsageError
from tests.support.servers import forget_urls

KEY = "ipclab:test:pressure"


@pytest.fixture(scope="module", params=["native", "compose"])
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A Redis and a RabbitMQ, of each provider that starts them."""
    if request.param == "native":
        yield request.getfixturevalue("native_fleet")
        return
    request.getfixturevalue("docker_engine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCLAB_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        forget_urls(patch)
        with acquire(["redis", "rabbitmq"], provider="compose", install=False) as fleet:
            yield fleet


def fill_redis(broker: Broker, size_bytes: int) -> bool:
    """Whether a Redis takes so many bytes, in keys of this test that are gone afterwards."""
    piece = bytes(50_000)
    with connect(broker.url) as client:
        names = [f"{KEY}:{number}" for number in range(size_bytes // len(piece))]
        try:
            for name in names:
                client.set(name, piece)
        except redis.OutOfMemoryError:
            return False
        finally:
            client.delete(*names)
    return True


def publish_is_blocked(broker: Broker) -> bool:
    """Whether RabbitMQ blocks a publisher, rather than confirm its message."""
    parameters = pika.URLParameters(broker.url)
    # Counted from when the server says that it blocks, so a slow confirm is not taken for it.
    parameters.blocked_connection_timeout = 0.1
    connection = pika.BlockingConnection(parameters)
    channel = connection.channel()
    channel.confirm_delivery()
    queue = channel.queue_declare("", exclusive=True, durable=True).method.queue
    try:
        channel.basic_publish("", queue, b"message", mandatory=True)
    except pika.exceptions.ConnectionBlockedTimeout:
        return True
    connection.close()
    return False


def maxmemory(broker: Broker) -> int:
    with connect(broker.url) as client:
        return int(client.config_get("maxmemory")["maxmemory"])


def test_a_squeezed_redis_takes_little_and_refuses_the_rest(servers: Fleet) -> None:
    broker = servers.brokers["redis"]
    assert fill_redis(broker, 3_000_000)
    with squeezed(broker) as squeeze:
        assert squeeze.room_bytes is not None
        assert "maxmemory-policy noeviction" in squeeze.what
        assert fill_redis(broker, squeeze.room_bytes // 5)
        assert not fill_redis(broker, 3 * squeeze.room_bytes)
    assert maxmemory(broker) == 0
    assert fill_redis(broker, 3_000_000)


def test_a_squeezed_redis_keeps_the_policy_and_gets_its_own_limit_back(servers: Fleet) -> None:
    broker = servers.brokers["redis"]
    with applied(broker, {"maxmemory": "100000000", "maxmemory-policy": "allkeys-lru"}):
        with squeezed(broker) as squeeze:
            assert squeeze.room_bytes is not None
            assert "maxmemory-policy allkeys-lru" in squeeze.what
            assert maxmemory(broker) < 100_000_000
            assert fill_redis(broker, 3 * squeeze.room_bytes)
        assert maxmemory(broker) == 100_000_000
        with connect(broker.url) as client:
            assert client.info("stats")["evicted_keys"] > 0


def test_a_squeezed_rabbitmq_blocks_publishers_until_it_is_healed(servers: Fleet) -> None:
    broker = servers.brokers["rabbitmq"]
    assert not publish_is_blocked(broker)
    with squeezed(broker) as squeeze:
        assert squeeze.room_bytes is None
        assert "blocked" in squeeze.what
        assert publish_is_blocked(broker)
    assert not publish_is_blocked(broker)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_server_is_healed_when_it_was_killed_or_paused_meanwhile_and_the_block_failed(
    servers: Fleet, kind: BrokerKind
) -> None:
    broker = servers.brokers[kind]

    def fail(harm: Callable[[], None]) -> None:
        with squeezed(broker):
            harm()
            raise ZeroDivisionError

    for harm in (broker.kill, broker.pause):
        with pytest.raises(ZeroDivisionError):
            fail(harm)
        assert broker.alive()
        if kind == "redis":
            assert maxmemory(broker) == 0
        else:
            assert not publish_is_blocked(broker)


def test_memcached_has_the_room_that_it_says_and_evicts_beyond_it(native_fleet: Fleet) -> None:
    broker = native_fleet.brokers["memcached"]
    with squeezed(broker) as squeeze:
        assert squeeze.room_bytes == 64 * 2**20
        client = memcached_client.make(broker.url, default_noreply=False)
        piece, most = bytes(500_000), 2 * squeeze.room_bytes
        for number in range(most // len(piece)):
            assert client.set(f"{KEY}:{number}", piece)
        assert client.get(f"{KEY}:0") is None
        assert client.stats()[b"evictions"] > 0
        for number in range(most // len(piece)):
            client.delete(f"{KEY}:{number}")
        client.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_memory_of_somebody_elses_server_is_left_alone(
    native_fleet: Fleet, own_state: Path, monkeypatch: pytest.MonkeyPatch, kind: BrokerKind
) -> None:
    variable = f"{kind.upper()}_URL"
    monkeypatch.setenv(variable, native_fleet.brokers[kind].url)
    with (
        acquire([kind], install=False) as fleet,
        pytest.raises(UsageError, match="was not started by the lab") as caught,
    ):
        squeezed(fleet.brokers[kind])
    assert "\n" not in str(caught.value)
    if kind != "memcached":
        assert os.environ[variable] not in str(caught.value)
