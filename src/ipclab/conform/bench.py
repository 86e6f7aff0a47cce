"""The bench on which a backend is checked: sets up channels and counters, runs their ends in processes."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from ipclab.backends.base import BrokerKind, Channel, Counter, Site
from ipclab.backends.registry import Variant, counter_class
from ipclab.brokers import Broker
from ipclab.conform import ends, observers
from ipclab.conform.ends import Remote
from ipclab.conform.modes import Mode
from ipclab.conform.promise import require
from ipclab.host.start_methods import StartMethod

BrokerOf = Callable[[BrokerKind], Broker]
"""Returns the server of a kind, which the check may use."""


class Bench:
    """Sets up channels and counters, runs their ends in processes, and takes all of it down again.

    ``stack`` takes it down when it is closed. ``crash_of`` returns a ``Crash`` that several modes share; None
    for one of each. Not thread-safe; not usable after a fork.
    """

    def __init__(
        self, stack: ExitStack, broker_of: BrokerOf, crash_of: Callable[[Mode], Any] | None = None
    ) -> None:
        self.stack = stack
        self.broker_of = broker_of
        self.crash_of = crash_of

    def site(
        self,
        broker: BrokerKind | None,
        *,
        producers: int = 1,
        consumers: int = 1,
        window: int = 1,
        start_method: StartMethod = "fork",
    ) -> Site:
        """Return a site of its own on the server of this kind. At the end no name of it is left there."""
        url = self.broker_of(broker).url if broker else None
        namespace = f"ipclab:test-{os.getpid()}-{secrets.token_hex(4)}"
        if broker and url:
            self.stack.callback(require_no_names, broker, url, namespace)
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
        """Return a channel that is set up, with so many producers and consumers as far as it takes them."""
        kind = mode.channel
        site = self.site(
            kind.broker,
            producers=min(producers, kind.max_producers or producers),
            consumers=min(consumers, kind.max_consumers or consumers),
            window=mode.window,
            start_method=start_method,
        )
        channel = kind(site, **mode.variant.options)
        self.stack.callback(channel.teardown)
        channel.setup()
        return channel

    def counter(self, variant: Variant, clients: int = 1, start_method: StartMethod = "fork") -> Counter:
        """Return a counter that is set up."""
        kind = counter_class(variant)
        site = self.site(kind.broker, producers=clients, start_method=start_method)
        counter = kind(site, **variant.options)
        self.stack.callback(counter.teardown)
        counter.setup()
        return counter

    def start(self, part: Channel | Counter, role: Callable[..., object], *arguments: object) -> Remote:
        """Start a process that plays this role of the channel or counter; it is killed at the end."""
        remote = Remote(part.site.start_method, role, part, *arguments)
        self.stack.callback(remote.kill)
        return remote

    def producers(self, channel: Channel) -> list[Remote]:
        """Return all its producers, connected."""
        return connected([self.start(channel, ends.producer, i) for i in range(channel.site.producers)])

    def consumers(self, channel: Channel) -> list[Remote]:
        """Return all its consumers, connected."""
        return connected([self.start(channel, ends.consumer, i) for i in range(channel.site.consumers)])

    def producer(self, channel: Channel, index: int = 0) -> Remote:
        """Return one producer, connected."""
        return connected([self.start(channel, ends.producer, index)])[0]

    def consumer(self, channel: Channel, index: int = 0) -> Remote:
        """Return one consumer, connected."""
        return connected([self.start(channel, ends.consumer, index)])[0]

    def clients(self, counter: Counter) -> list[Remote]:
        """Return all its clients, connected; its owner too is started where it has one."""
        if counter.has_owner:
            self.start(counter, ends.counter_owner)
        started = [self.start(counter, ends.counter_client, i) for i in range(counter.site.producers)]
        return connected(started)

    def final_value(self, counter: Counter) -> int:
        """Return the value of a counter without an owner, read by a client of its own."""
        value = connected([self.start(counter, ends.counter_client, 0)])[0].call(ends.read)
        assert isinstance(value, int)
        return value

    def exchange(self, channel: Channel, sent: Sequence[Sequence[bytes]]) -> list[list[bytes]]:
        """Let every producer send while every consumer receives; return what each consumer got."""
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
    """Return these, once every one of them has made its end."""
    for remote in remotes:
        remote.result()
    return remotes


def require_no_names(kind: BrokerKind, url: str, namespace: str) -> None:
    """Raise BrokenPromise where a name that begins so is on the server."""
    left = observers.names(kind, url, namespace)
    require(not left, f"left on the server: {', '.join(sorted(left))}")
