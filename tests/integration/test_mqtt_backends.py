"""What is particular to the MQTT backend: three qualities of service, and none that outlives an end."""

from __future__ import annotations

import pytest

from ipclab.backends.base import Site
from ipclab.backends.mqtt.channels import MqttChannel
from ipclab.backends.mqtt.client import check
from ipclab.brokers import Broker, kinds
from ipclab.brokers.kinds.base import LoginRefusedError
from ipclab.errors import BrokerUnavailableError, ChannelError, UsageError
from tests.conftest import BrokerOf
from tests.support.crashes import play, safety_of

pytestmark = pytest.mark.timeout(120, method="signal")


@pytest.fixture
def server(private_broker_of: BrokerOf) -> Broker:
    """A private server, so that tests may kill it."""
    return private_broker_of("mosquitto")


@pytest.mark.parametrize("window", [1, 30])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_sent_before_a_subscription_is_confirmed_and_gone(
    qos: int, window: int, server: Broker
) -> None:
    channel = MqttChannel(Site(namespace="ipclab:test", url=server.url, window=window), qos=qos)
    channel.setup()
    producer = channel.producer(0)
    producer.send(b"early")
    producer.flush()
    consumer = channel.consumer(0)
    bodies = [b"%d" % number for number in range(window)]
    for body in bodies:
        producer.send(body)
    producer.flush()
    received: list[bytes] = []
    while len(received) < window:
        received += consumer.receive()
    assert received == bodies
    consumer.close()
    producer.close()


def test_a_wrong_password_is_told_from_a_server_that_is_not_there(server: Broker) -> None:
    kind = kinds.get("mosquitto")
    host = server.url.rpartition("@")[2]
    with pytest.raises(LoginRefusedError, match=r"refuses the login: Not authorized") as refused:
        kind.version(f"mqtt://ipclab:wrong@{host}", 5.0)
    assert "wrong" not in str(refused.value)
    with pytest.raises(BrokerUnavailableError, match=r"does not answer: .*refused"):
        kind.version("mqtt://ipclab:wrong@127.0.0.1:1", 5.0)


def test_a_consumer_that_waits_gets_an_error_when_the_broker_is_killed(server: Broker) -> None:
    channel = MqttChannel(Site(namespace="ipclab:test", url=server.url))
    consumer = channel.consumer(0)
    server.kill()
    try:
        with pytest.raises(ChannelError, match=r"has ended"):
            consumer.receive()
        consumer.close()
    finally:
        server.restart()


def test_a_url_with_parts_that_the_client_ignores_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no path and no options"):
        check("mqtt://host/topic")
    with pytest.raises(UsageError, match=r"needs a user"):
        check("mqtt://:secret@host")


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_confirmed_and_not_yet_delivered_ends_with_the_broker(qos: int, server: Broker) -> None:
    """The consumer does not read meanwhile, so the broker holds what exceeds those on their way to it."""
    channel = MqttChannel(Site(namespace="ipclab:test", url=server.url), qos=qos)
    consumer, producer = channel.consumer(0), channel.producer(0)
    for number in range(100):
        producer.send(b"%d" % number)
    server.kill()
    received: list[bytes] = []

    def receive_all() -> None:
        while True:
            received.extend(consumer.receive())

    try:
        with pytest.raises(ChannelError, match=r"has ended"):
            receive_all()
        assert len(received) <= (20 if qos == 1 else 0)
        consumer.close()
        producer.close()
    finally:
        server.restart()


def test_a_killed_broker_is_declared_by_every_quality(server: Broker) -> None:
    found = safety_of(play("mqtt:qos=2", "kill broker, idle", server))
    assert (found.verdict, found.hung, found.broken) == ("valid", {}, [])
