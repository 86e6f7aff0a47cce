"""That a backend uses its own names only, and leaves nothing behind."""

from __future__ import annotations

from typing import Any

from ipclab.backends.base import BrokerKind, Channel, Counter, Site
from ipclab.backends.registry import Variant, counter_class
from ipclab.brokers import kinds
from ipclab.conform import ends, observers
from ipclab.conform.bench import Bench
from ipclab.conform.messages import bodies
from ipclab.conform.modes import Mode
from ipclab.conform.promise import BrokenPromise, Promise, Undecided, require
from ipclab.conform.promises import which
from ipclab.errors import BrokerUnavailableError
from ipclab.host.text import line_of

_SECRET = "secret"
_NOWHERE: dict[BrokerKind, str] = {
    "redis": f"redis://:{_SECRET}@127.0.0.1:1/0",
    "rabbitmq": f"amqp://user:{_SECRET}@127.0.0.1:1/%2F",
    "memcached": "memcached://127.0.0.1:1",
}


def nowhere(kind: BrokerKind) -> str:
    """Return an address of this kind where nothing listens."""
    return _NOWHERE.get(kind) or f"{kinds.get(kind).schemes[0]}://:{_SECRET}@127.0.0.1:1"


class _Names:
    """What there is on the server of a backend; nothing where it has none."""

    def __init__(self, bench: Bench, kind: BrokerKind | None) -> None:
        self._broker = bench.broker_of(kind) if kind else None
        self._before = self._read()

    def _read(self) -> set[str]:
        return observers.names(self._broker.kind, self._broker.url) if self._broker else set()

    def new(self) -> set[str]:
        """Return the names that were not there when this object was made."""
        return self._read() - self._before

    def require_own(self, namespace: str) -> set[str]:
        """Return the new names. Raise BrokenPromise where one does not begin with the namespace.

        Raise Undecided where the server is not the lab's, so that others may have made the name.
        """
        new = self.new()
        strange = sorted(name for name in new if not name.startswith(f"{namespace}:"))
        if strange and self._broker is not None and not self._broker.ours:
            raise Undecided("others use the server, and made names meanwhile: use a private server")
        require(not strange, f"these names do not begin with site.namespace: {', '.join(strange)}")
        return new

    def require_none(self, namespace: str) -> None:
        """Raise BrokenPromise where a new name is left. Raise Undecided as ``require_own`` does."""
        left = self.require_own(namespace)
        require(not left, f"left on the server after teardown(): {', '.join(sorted(left))}")


def _own_names(bench: Bench, mode: Mode) -> None:
    names = _Names(bench, mode.channel.broker)
    channel = bench.channel(mode, consumers=2)
    consumer, producer = bench.consumers(channel)[0], bench.producer(channel)
    producer.call(ends.send, bodies(0, 2 * mode.window), mode.window)
    consumer.call(ends.take, 1)
    new = names.require_own(channel.site.namespace)
    require(bool(new), "it is in use, and no name of it is on the server")


def _leaves_nothing(bench: Bench, mode: Mode) -> None:
    names = _Names(bench, mode.channel.broker)
    channel = bench.channel(mode, consumers=2)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    producer.call(ends.send, bodies(0, 2 * mode.window), mode.window)
    consumer.call(ends.take, 1)
    consumer.kill()
    producer.kill()
    channel.teardown()
    channel.teardown()
    names.require_none(channel.site.namespace)


def _counter_names(bench: Bench, variant: Variant) -> None:
    names = _Names(bench, counter_class(variant).broker)
    made = bench.counter(variant)
    client = bench.clients(made)[0]
    client.call(ends.increment, 3)
    new = names.require_own(made.site.namespace)
    require(
        bool(new) == (made.broker is not None), f"while it is in use, it has {len(new)} names on a server"
    )
    client.kill()
    made.teardown()
    made.teardown()
    names.require_none(made.site.namespace)


def _bare_teardown(bench: Bench, mode: Mode) -> None:
    site = bench.site(mode.channel.broker, window=mode.window)
    mode.channel(site, **mode.variant.options).teardown()


def _bare_counter_teardown(bench: Bench, variant: Variant) -> None:
    kind = counter_class(variant)
    kind(bench.site(kind.broker), **variant.options).teardown()


def _absent_server(_: Bench, mode: Mode) -> None:
    _require_unavailable(mode.channel, mode.variant, window=mode.window)


def _absent_server_of_a_counter(_: Bench, variant: Variant) -> None:
    _require_unavailable(counter_class(variant), variant)


def _require_unavailable(kind: type[Channel] | type[Counter], variant: Variant, **settings: Any) -> None:
    assert kind.broker is not None
    part = kind(Site(namespace="ipclab:test", url=nowhere(kind.broker), **settings), **variant.options)
    try:
        _set_up_and_connect(part)
    except BrokerUnavailableError as error:
        require("127.0.0.1:1" in str(error), f"the error does not name the address: {line_of(error)}")
        require(_SECRET not in str(error), "the error contains the password")
    except Exception as error:
        raise BrokenPromise(f"it raised no BrokerUnavailableError, but {line_of(error)}") from error
    else:
        raise BrokenPromise("it raised nothing")


def _set_up_and_connect(part: Channel | Counter) -> None:
    part.setup()
    # Publish and subscribe has nothing to set up.
    part.producer(0) if isinstance(part, Channel) else part.client(0)


PROMISES = (
    Promise(
        "own-names",
        "a channel in use has names of its own namespace only",
        "mode",
        which.listed,
        _own_names,
    ),
    Promise(
        "leaves-nothing",
        "a channel that is torn down with messages in it leaves nothing",
        "mode",
        which.every,
        _leaves_nothing,
    ),
    Promise(
        "teardown",
        "a channel that was never set up can be torn down",
        "mode",
        which.every,
        _bare_teardown,
    ),
    Promise(
        "no-server",
        "a channel whose server is not there says so, without the password",
        "mode",
        which.served,
        _absent_server,
    ),
    Promise(
        "counter-names",
        "a counter has names of its own namespace only, and leaves none",
        "counter",
        which.every,
        _counter_names,
    ),
    Promise(
        "counter-teardown",
        "a counter that was never set up can be torn down",
        "counter",
        which.every,
        _bare_counter_teardown,
    ),
    Promise(
        "counter-no-server",
        "a counter whose server is not there says so, without the password",
        "counter",
        which.served_counter,
        _absent_server_of_a_counter,
    ),
)
