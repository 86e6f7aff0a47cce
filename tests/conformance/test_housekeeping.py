"""That a backend uses its own names only, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

import pytest

from ipclab.backends.base import BrokerKind, Channel, Counter, Site
from ipclab.backends.registry import Variant, counter_class
from ipclab.brokers import kinds
from ipclab.errors import BrokerUnavailableError
from tests.conformance.conftest import Bench
from tests.support import ends, observers
from tests.support.bodies import bodies
from tests.support.modes import Mode

pytestmark = pytest.mark.timeout(60, method="signal")

NOWHERE: dict[BrokerKind, str] = {
    "redis": "redis://:secret@127.0.0.1:1/0",
    "rabbitmq": "amqp://user:secret@127.0.0.1:1/%2F",
    "memcached": "memcached://127.0.0.1:1",
}


def nowhere(kind: BrokerKind) -> str:
    """An address of this kind where nothing listens."""
    return NOWHERE.get(kind) or f"{kinds.get(kind).schemes[0]}://:secret@127.0.0.1:1"


class Names:
    """What there is on the server of a backend; nothing where it has none."""

    def __init__(self, bench: Bench, kind: BrokerKind | None) -> None:
        self._broker = bench.broker_of(kind) if kind else None
        self._before = self._read()

    def _read(self) -> set[str]:
        return observers.names(self._broker.kind, self._broker.url) if self._broker else set()

    def new(self) -> set[str]:
        """Names that were not there when this object was made."""
        return self._read() - self._before


def test_a_channel_in_use_has_names_of_its_own_namespace_only(bench: Bench, listed_mode: Mode) -> None:
    mode = listed_mode
    names = Names(bench, mode.channel.broker)
    channel = bench.channel(mode, consumers=2)
    consumer, producer = bench.consumers(channel)[0], bench.producer(channel)
    producer.call(ends.send, bodies(0, 2 * mode.window), mode.window)
    consumer.call(ends.take, 1)

    new = names.new()

    assert new
    assert all(name.startswith(f"{channel.site.namespace}:") for name in new), new


def test_a_channel_that_was_torn_down_with_messages_in_it_leaves_nothing(bench: Bench, mode: Mode) -> None:
    names = Names(bench, mode.channel.broker)
    channel = bench.channel(mode, consumers=2)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    producer.call(ends.send, bodies(0, 2 * mode.window), mode.window)
    consumer.call(ends.take, 1)
    consumer.kill()
    producer.kill()

    channel.teardown()
    channel.teardown()

    assert names.new() == set()


def test_a_counter_in_use_has_names_of_its_own_namespace_only_and_leaves_none(
    bench: Bench, counter: Variant
) -> None:
    names = Names(bench, counter_class(counter).broker)
    made = bench.counter(counter)
    client = bench.clients(made)[0]
    client.call(ends.increment, 3)
    new = names.new()
    assert bool(new) == (made.broker is not None)
    assert all(name.startswith(f"{made.site.namespace}:") for name in new)
    client.kill()

    made.teardown()
    made.teardown()

    assert names.new() == set()


def test_a_channel_that_was_never_set_up_can_be_torn_down(bench: Bench, mode: Mode) -> None:
    site = bench.site(mode.channel.broker, window=mode.window)

    mode.channel(site, **mode.variant.options).teardown()


def test_a_counter_that_was_never_set_up_can_be_torn_down(bench: Bench, counter: Variant) -> None:
    kind = counter_class(counter)

    kind(bench.site(kind.broker), **counter.options).teardown()


def test_a_channel_whose_server_is_not_there_says_so_without_the_password(served_mode: Mode) -> None:
    assert_unavailable(served_mode.channel, served_mode.variant, window=served_mode.window)


def test_a_counter_whose_server_is_not_there_says_so_without_the_password(served_counter: Variant) -> None:
    assert_unavailable(counter_class(served_counter), served_counter)


def set_up_and_connect(part: Channel | Counter) -> None:
    part.setup()
    # Publish and subscribe has nothing to set up.
    part.producer(0) if isinstance(part, Channel) else part.client(0)


def assert_unavailable(kind: type[Channel] | type[Counter], variant: Variant, **settings: Any) -> None:
    assert kind.broker is not None
    part = kind(Site(namespace="ipclab:test", url=nowhere(kind.broker), **settings), **variant.options)

    with pytest.raises(BrokerUnavailableError, match=r"127\.0\.0\.1:1\b") as raised:
        set_up_and_connect(part)

    assert "secret" not in str(raised.value)
