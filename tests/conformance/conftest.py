"""The bench on which every backend of the registry is tried, in every mode that it declares.

A test that takes an argument of the names below runs once for each mode, or counter, that it is about.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

import pytest

from ipclab.backends.base import BrokerKind, Channel, Counter, Site
from ipclab.backends.registry import Variant, counter_class, is_own
from ipclab.brokers import KINDS, Broker
from ipclab.host.start_methods import StartMethod
from tests.support import ends, modes, observers, processes
from tests.support.ends import Remote
from tests.support.modes import Mode

MOST_WORTH_TRYING_BYTES = 16 * 1024 * 1024

MODES: dict[str, Callable[[Mode], bool]] = {
    "mode": lambda _: True,
    "served_mode": lambda mode: mode.channel.broker is not None,
    "listed_mode": lambda mode: mode.channel.broker is not None and observers.can_list(mode.channel.broker),
    "queueing_mode": lambda mode: not mode.guarantees.fan_out,
    "fan_out_mode": lambda mode: mode.guarantees.fan_out,
    "ordered_mode": lambda mode: mode.guarantees.order == "per-producer",
    "at_least_once_mode": lambda mode: mode.guarantees.delivery == "at-least-once",
    "shared_at_most_once_mode": lambda mode: (
        mode.guarantees.delivery == "at-most-once" and mode.channel.max_consumers != 1
    ),
    "producer_proof_mode": lambda mode: (
        "producer crash" not in mode.guarantees.may_lose or mode.guarantees.confirm == "broker"
    ),
    "handing_over_mode": lambda mode: (
        # Such a mode declares that only a confirm tells a producer that it may leave, and gives none.
        mode.guarantees.confirm != "written" or "overload" not in mode.guarantees.may_lose
    ),
    "served_confirming_mode": lambda mode: (
        mode.guarantees.confirm == "broker" and mode.channel.broker is not None
    ),
    "refusable_mode": lambda mode: (
        # Nobody refuses to publish: a server answers with how many there were to hear it.
        mode.guarantees.confirm == "broker"
        and mode.channel.broker is not None
        and not mode.guarantees.fan_out
        and mode.channel.broker in KINDS
    ),
    "helped_mode": lambda mode: (
        mode.guarantees.confirm == "broker"
        and "broker crash" in mode.guarantees.may_lose
        and mode.channel.broker is None
    ),
    "durable_mode": lambda mode: mode.guarantees.durability != "none" and mode.channel.broker is not None,
    "limited_mode": lambda mode: (mode.guarantees.max_message_bytes or 1 << 62) <= MOST_WORTH_TRYING_BYTES,
}
"""By argument: which modes a test is about, each with a window of 1 and, if it has any, a larger one."""

COUNTERS: dict[str, Callable[[Counter], bool]] = {
    "counter": lambda _: True,
    # A client of an owner talks to it over primitives that its death may leave locked.
    "safe_unowned_counter": lambda counter: counter.safe and not counter.has_owner,
    "served_counter": lambda counter: counter.broker is not None,
    "safe_counter": lambda counter: counter.safe,
    "gated_counter": lambda counter: not counter.safe and is_own(counter.name),
    "foreign_unsafe_counter": lambda counter: not counter.safe and not is_own(counter.name),
    "comparing_counter": lambda counter: (
        (counter.name, counter.discipline) in {("redis", "watch"), ("memcached", "cas")}
    ),
    "owned_counter": lambda counter: counter.has_owner,
}
"""By argument: which counters, each under each of its disciplines."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test once for every mode or counter that it is about."""
    asked = metafunc.config.getoption("--backend")
    for argument in metafunc.fixturenames:
        if argument in MODES:
            found = [m for m in modes.with_windows(modes.channels(asked)) if MODES[argument](m)]
            metafunc.parametrize(argument, found, ids=str)
        elif argument == "channel_name":
            metafunc.parametrize(argument, sorted({m.variant.name for m in modes.channels(asked)}))
        elif argument == "some_counter":
            metafunc.parametrize(argument, _one_of_each_name(modes.counters(asked)), ids=str)
        elif argument in COUNTERS:
            variants = [v for v in modes.counters(asked) if COUNTERS[argument](modes.counter(v))]
            metafunc.parametrize(argument, variants, ids=str)


def _one_of_each_name(variants: Iterable[Variant]) -> list[Variant]:
    """Of each counter that is asked for one discipline, a safe one if there is any."""
    found: dict[str, Variant] = {}
    for variant in sorted(variants, key=lambda variant: not modes.counter(variant).safe):
        found.setdefault(variant.name, variant)
    return list(found.values())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out tests about modes and counters that none of the chosen backends has."""
    about_none = [item for item in items if _is_about_none(item)]
    items[:] = [item for item in items if item not in about_none]
    config.hook.pytest_deselected(items=about_none)


def _is_about_none(item: pytest.Item) -> bool:
    mark = item.get_closest_marker("skip")
    return mark is not None and str(mark.kwargs.get("reason", "")).startswith("got empty parameter set")


class Bench:
    """Sets up channels and counters, runs their ends in processes, and takes all of it down again."""

    def __init__(self, stack: ExitStack, broker_of: Callable[[BrokerKind], Broker]) -> None:
        self._stack = stack
        self.broker_of = broker_of

    def site(
        self,
        broker: BrokerKind | None,
        *,
        producers: int = 1,
        consumers: int = 1,
        window: int = 1,
        start_method: StartMethod = "fork",
    ) -> Site:
        """A site of its own on the server of this kind. At the end no name of it is left there."""
        url = self.broker_of(broker).url if broker else None
        namespace = f"ipclab:test-{os.getpid()}-{secrets.token_hex(4)}"
        if broker and url:
            self._stack.callback(assert_no_names, broker, url, namespace)
        return Site(
            namespace=namespace,
            producers=producers,
            consumers=consumers,
            window=window,
            start_method=start_method,
            url=url,
        )

    def channel(
        self,
        mode: Mode,
        *,
        producers: int = 1,
        consumers: int = 1,
        start_method: StartMethod = "fork",
    ) -> Channel:
        """A channel that is set up, with so many producers and consumers as far as it takes them."""
        kind = mode.channel
        site = self.site(
            kind.broker,
            producers=min(producers, kind.max_producers or producers),
            consumers=min(consumers, kind.max_consumers or consumers),
            window=mode.window,
            start_method=start_method,
        )
        channel = kind(site, **mode.variant.options)
        self._stack.callback(channel.teardown)
        channel.setup()
        return channel

    def counter(self, variant: Variant, clients: int = 1, start_method: StartMethod = "fork") -> Counter:
        """A counter that is set up."""
        kind = counter_class(variant)
        site = self.site(kind.broker, producers=clients, start_method=start_method)
        counter = kind(site, **variant.options)
        self._stack.callback(counter.teardown)
        counter.setup()
        return counter

    def start(self, part: Channel | Counter, role: Callable[..., object], *arguments: object) -> Remote:
        """A process that plays this role of the channel or counter; killed at the end if it still runs."""
        remote = Remote(part.site.start_method, role, part, *arguments)
        self._stack.callback(remote.kill)
        return remote

    def producers(self, channel: Channel) -> list[Remote]:
        """All its producers, connected."""
        return connected([self.start(channel, ends.producer, i) for i in range(channel.site.producers)])

    def consumers(self, channel: Channel) -> list[Remote]:
        """All its consumers, connected."""
        return connected([self.start(channel, ends.consumer, i) for i in range(channel.site.consumers)])

    def producer(self, channel: Channel, index: int = 0) -> Remote:
        """One producer, connected."""
        return connected([self.start(channel, ends.producer, index)])[0]

    def consumer(self, channel: Channel, index: int = 0) -> Remote:
        """One consumer, connected."""
        return connected([self.start(channel, ends.consumer, index)])[0]

    def clients(self, counter: Counter) -> list[Remote]:
        """All clients of a counter, connected; its owner is started first where it has one."""
        if counter.has_owner:
            self.start(counter, ends.counter_owner)
        started = [self.start(counter, ends.counter_client, i) for i in range(counter.site.producers)]
        return connected(started)

    def final_value(self, counter: Counter) -> int:
        """The value of a counter without an owner, read by a client of its own."""
        value = connected([self.start(counter, ends.counter_client, 0)])[0].call(ends.read)
        assert isinstance(value, int)
        return value

    def exchange(self, channel: Channel, sent: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
        """Every producer sends its messages at once, every consumer receives; what each of those got."""
        consumers = self.consumers(channel)
        count = sum(len(bodies) for bodies in sent)
        return ends.exchange(
            self.producers(channel),
            consumers,
            sent,
            window=channel.site.window,
            owed=count * (len(consumers) if channel.guarantees.fan_out else 1),
        )


def connected(remotes: list[Remote]) -> list[Remote]:
    """These, once every one of them has made its end."""
    for remote in remotes:
        remote.result()
    return remotes


def assert_no_names(kind: BrokerKind, url: str, namespace: str) -> None:
    """Nothing whose name begins so is on the server."""
    left = observers.names(kind, url, namespace)
    assert not left, f"left on the server: {left}"


@pytest.fixture
def bench(broker_of: Callable[[BrokerKind], Broker]) -> Iterator[Bench]:
    """A bench; afterwards neither a process nor a name on a server is left of what was on it."""
    with processes.no_process_left(), ExitStack() as stack:
        yield Bench(stack, broker_of)
