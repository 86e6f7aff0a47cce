"""The proxy before real servers: what its faults mean to their clients."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
import redis

from ipclab.backends.base import BrokerKind
from ipclab.backends.redis.client import connect
from ipclab.brokers import KINDS, Broker, Fleet, probe
from ipclab.faults.proxy.handle import Proxy, url_through

KEY = "ipclab:test:proxy"
PATIENCE_S = 20.0


@contextlib.contextmanager
def before(broker: Broker) -> Iterator[tuple[Proxy, str]]:
    """A proxy before this server, and the URL through it."""
    where = urlsplit(broker.url)
    assert where.hostname
    assert where.port
    with Proxy(where.hostname, where.port, "fork") as proxy:
        yield proxy, url_through(broker.url, proxy.port)


@pytest.mark.parametrize("kind", KINDS)
def test_every_broker_answers_through_the_proxy_and_not_through_a_black_hole(
    native_fleet: Fleet, kind: BrokerKind
) -> None:
    broker = native_fleet.brokers[kind]
    with before(broker) as (proxy, url):
        assert probe.version(kind, url) == broker.version
        proxy.swallow()
        with pytest.raises(probe.BrokerUnavailableError):
            probe.version(kind, url, timeout_s=0.3)
        proxy.reset()
        proxy.pass_all()
        assert probe.version(kind, url) == broker.version


def test_an_increment_whose_reply_is_dropped_has_happened_once(native_fleet: Fleet) -> None:
    broker = native_fleet.brokers["redis"]
    with before(broker) as (proxy, url), connect(url) as client, connect(broker.url) as direct:
        assert client.incr(KEY) == 1
        proxy.drop_reply()
        with pytest.raises(redis.ConnectionError):
            client.incr(KEY)
        assert proxy.dropped(PATIENCE_S)
        assert direct.get(KEY) == b"2"
        assert direct.delete(KEY)


def test_what_a_blocked_consumer_is_handed_is_lost_on_the_way(native_fleet: Fleet) -> None:
    broker = native_fleet.brokers["redis"]
    errors: list[Exception] = []

    with before(broker) as (proxy, url), connect(url) as client, connect(broker.url) as direct:

        def take() -> None:
            try:
                client.blpop([KEY], timeout=PATIENCE_S)
            except redis.ConnectionError as error:
                errors.append(error)

        client.ping()
        consumer = threading.Thread(target=take)
        consumer.start()
        while not direct.info("clients")["blocked_clients"]:
            pass
        proxy.drop_delivery()
        assert direct.rpush(KEY, "message") == 1
        assert proxy.dropped(PATIENCE_S)
        consumer.join(PATIENCE_S)
        assert errors
        assert direct.llen(KEY) == 0
