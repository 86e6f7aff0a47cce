"""What is particular to the NATS backends: confirms, redelivery, and one fault for each channel."""

from __future__ import annotations

import pytest

from ipclab.backends.base import Site
from ipclab.backends.nats.channels import NatsChannel
from ipclab.backends.nats.client import Link, check
from ipclab.backends.nats.jetstream import JetStreamChannel
from ipclab.brokers import Broker, kinds
from ipclab.brokers.kinds.base import LoginRefusedError
from ipclab.errors import BrokerUnavailableError, UsageError
from tests.conftest import BrokerOf
from tests.support.crashes import play, safety_of

pytestmark = pytest.mark.timeout(120, method="signal")


@pytest.fixture
def server(private_broker_of: BrokerOf) -> Broker:
    """A private server, so that tests may kill it."""
    return private_broker_of("nats")


def test_what_nobody_is_subscribed_to_is_confirmed_and_gone(server: Broker) -> None:
    channel = NatsChannel(Site(namespace="ipclab:test", url=server.url))
    channel.setup()
    producer = channel.producer(0)
    producer.send(b"early")
    consumer = channel.consumer(0)
    producer.send(b"late")
    assert consumer.receive() == [b"late"]
    consumer.close()
    producer.close()


def test_what_a_member_rejects_comes_again_and_what_it_acknowledges_does_not(server: Broker) -> None:
    channel = JetStreamChannel(Site(namespace="ipclab:test", url=server.url), ack_wait_ms=60_000)
    channel.setup()
    try:
        producer, consumer = channel.producer(0), channel.consumer(0)
        producer.send(b"1")
        assert consumer.receive() == [b"1"]
        consumer.reject()
        assert consumer.receive() == [b"1"]
        consumer.ack()
        producer.send(b"2")
        assert consumer.receive() == [b"2"]
        consumer.close()
        producer.close()
    finally:
        channel.teardown()
    assert kinds.get("nats").names(server.url) == set()


def test_a_wrong_password_is_told_from_a_server_that_is_not_there(server: Broker) -> None:
    kind = kinds.get("nats")
    host = server.url.rpartition("@")[2]
    with pytest.raises(LoginRefusedError, match=r"refuses the login") as refused:
        kind.version(f"nats://ipclab:wrong@{host}", 5.0)
    assert "wrong" not in str(refused.value)
    with pytest.raises(BrokerUnavailableError, match=r"does not answer"):
        kind.version("nats://ipclab:wrong@127.0.0.1:1", 5.0)


def test_a_call_that_waits_fails_when_the_server_is_killed(server: Broker) -> None:
    """nats-py itself leaves a pending request to its timeout."""
    import nats.errors

    link = Link(server.url)
    server.kill()
    try:
        with pytest.raises(nats.errors.Error):
            link.run(link.client.flush(60))
    finally:
        link.close()
        server.restart()


def test_a_flush_without_the_answer_of_the_server_confirms_nothing(server: Broker) -> None:
    """``flush()`` of nats-py returns without an error where the client has just stopped reading."""
    import asyncio

    import nats.errors

    producer = NatsChannel(Site(namespace="ipclab:test", url=server.url)).producer(0)
    reading = producer._link.client._reading_task  # type: ignore[attr-defined]
    reading.cancel()
    producer._link.run(asyncio.wait({reading}))  # type: ignore[attr-defined]
    with pytest.raises(nats.errors.ConnectionClosedError):
        producer.send(b"never answered for")
    producer.close()


@pytest.mark.parametrize("window", [1, 3])
def test_the_ping_that_asks_for_a_confirmation_follows_the_messages(
    window: int, server: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """``publish()`` and ``flush()`` of nats-py, one after the other, write the PING first."""
    producer = NatsChannel(Site(namespace="ipclab:test", url=server.url, window=window)).producer(0)
    transport = producer._link.client._transport  # type: ignore[attr-defined]
    written: list[bytes] = []
    write, writelines = transport.write, transport.writelines
    monkeypatch.setattr(transport, "write", lambda data: (written.append(bytes(data)), write(data)))
    monkeypatch.setattr(transport, "writelines", lambda data: (written.extend(data), writelines(data)))
    for number in range(window):
        producer.send(b"%d" % number)
    producer.flush()
    monkeypatch.undo()
    assert [data[:4] for data in written] == [b"PUB "] * window + [b"PING"]
    producer.close()


def test_names_of_a_killed_run_can_be_removed(server: Broker) -> None:
    for namespace in ("ipclab:killed", "ipclab:other"):
        JetStreamChannel(Site(namespace=namespace, url=server.url)).setup()
    kind = kinds.get("nats")
    assert kind.remove(server.url, ["ipclab:killed"]) == 1
    assert kind.names(server.url) == {"ipclab:other:messages"}
    assert kind.remove(server.url, ["ipclab:other"]) == 1


def test_a_url_with_parts_that_the_client_ignores_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no path and no options"):
        check("nats://host:4222/?tls=yes")


def test_a_stream_in_a_file_outlives_a_killed_server(server: Broker) -> None:
    kept = safety_of(play("nats-jetstream", "kill broker, idle", server))
    assert (kept.verdict, kept.counts.get("lost", 0), kept.hung) == ("valid", 0, {})
    assert kinds.get("nats").names(server.url) == set()


@pytest.mark.parametrize(("backend", "loses"), [("nats", True), ("nats-jetstream", False)])
def test_only_a_stream_delivers_again_what_a_killed_consumer_held(
    backend: str, loses: bool, server: Broker
) -> None:
    found = safety_of(play(backend, "kill consumer, mid-message", server))
    assert (found.verdict, found.counts["lost"] > 0, found.hung) == ("valid", loses, {})
