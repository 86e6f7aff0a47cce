"""A channel over a memcached server, which has no queues: tickets and slots.

Two counters number the messages: a producer takes its tickets from ``tail`` with an atomic incr and stores
each body in the slot of its ticket; consumers take tickets from ``head`` and read those slots. Nothing in
memcached wakes a waiting client, so consumers poll, with pauses that double up to ``max_pause_us``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from ipclab.backends.base import Channel, Consumer, Guarantees, Option, Producer
from ipclab.backends.memcached.client import connect
from ipclab.errors import ChannelError, MessageTooLargeError

if TYPE_CHECKING:
    from pymemcache.client.base import Client

MAX_ITEM_BYTES = 1024 * 1024
"""The largest item of a server with its defaults (``-I 1m``): key, body and header together."""

ITEM_HEADER_BYTES = 59
"""What an item takes besides its key and its body: measured with memcached 1.6."""

MAX_TICKET_DIGITS = 20
"""Counters are unsigned 64-bit numbers."""

FIRST_PAUSE_S = 50e-6

DELETE_BATCH = 1000


def counter_gone(key: str) -> ChannelError:
    """Return the error for a counter that the server no longer has."""
    return ChannelError(f"memcached no longer has {key}: the server was restarted, or it dropped the key")


class MemcachedTicketChannel(Channel):
    """A queue of atomic tickets and slots; the module's docstring says how it works.

    A slot is deleted once it was read, so a message is delivered at most once, and is lost with a consumer
    that took its ticket and died. Two events leave a hole: a producer that dies between its ticket and its
    slot (that message was not confirmed), and a server that evicts a slot because its memory is full.
    Consumers wait at a hole for ``patience_ms`` (up to twice that), then skip it. A producer that is delayed
    for longer between ticket and slot loses its message.
    """

    name = "memcached-ticket"
    summary = "memcached: a queue made of incr tickets and slots; consumers poll"
    broker = "memcached"
    windowed = True
    options = (
        Option("max_pause_us", 2000, "longest pause between two polls of a waiting consumer"),
        Option("patience_ms", 2000, "how long a consumer waits for a message whose ticket was taken"),
    )

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset({"consumer crash", "connection loss", "broker crash", "overload"}),
            order="per-producer",
            durability="none",
            confirm="broker",
            reach="network",
            max_message_bytes=self.max_body_bytes,
            polling=True,
        )

    @property
    def redelivers_after_s(self) -> float:
        # Nothing is redelivered, but a consumer may wait this long at a hole in front of other messages.
        return 2 * int(self.chosen["patience_ms"]) / 1000

    @property
    def max_body_bytes(self) -> int:
        """Return the largest body that fits with any ticket."""
        return MAX_ITEM_BYTES - ITEM_HEADER_BYTES - len(self.slot_prefix) - MAX_TICKET_DIGITS

    @property
    def head(self) -> str:
        """Return the key of the counter of tickets that consumers took."""
        return f"{self.site.namespace}:head"

    @property
    def tail(self) -> str:
        """Return the key of the counter of tickets that producers took."""
        return f"{self.site.namespace}:tail"

    @property
    def slot_prefix(self) -> str:
        """Return the name of a slot, without its ticket."""
        return f"{self.site.namespace}:"

    def setup(self) -> None:
        with closing(connect(self.site.broker_url)) as client:
            client.set(self.head, "0")
            client.set(self.tail, "0")

    def producer(self, index: int) -> Producer:
        client = connect(self.site.broker_url)
        if self.site.window == 1:
            return _Producer(client, self)
        return _WindowProducer(client, self)

    def consumer(self, index: int) -> Consumer:
        client = connect(self.site.broker_url)
        if self.site.window == 1:
            return _Consumer(client, self)
        return _WindowConsumer(client, self)

    def teardown(self) -> None:
        """Delete the counters and every slot that was ever numbered: a crash may leave one anywhere."""
        with closing(connect(self.site.broker_url)) as client:
            last = int(client.get(self.tail, b"0"))
            for first in range(1, last + 1, DELETE_BATCH):
                tickets = range(first, min(first + DELETE_BATCH, last + 1))
                client.delete_many([f"{self.slot_prefix}{ticket}" for ticket in tickets], noreply=True)
            # The server answers this, on the same connection, so it has done all of the above.
            client.delete_many([self.head, self.tail])


class _Producer(Producer):
    """Takes a ticket and fills its slot, a round trip each."""

    def __init__(self, client: Client, channel: MemcachedTicketChannel) -> None:
        self._client = client
        self._tail = channel.tail
        self._prefix = channel.slot_prefix
        self._most = channel.max_body_bytes

    def send(self, body: bytes) -> None:
        self._check(body)
        self._client.set(f"{self._prefix}{self._take(1)}", body)

    def close(self) -> None:
        self._client.close()

    def _check(self, body: bytes) -> None:
        # The server would refuse it too, but only after its ticket was taken.
        if len(body) > self._most:
            raise MessageTooLargeError(
                f"memcached-ticket carries {self._most} bytes at most, not {len(body)}"
            )

    def _take(self, count: int) -> int:
        last: int | None = self._client.incr(self._tail, count)
        if last is None:
            raise counter_gone(self._tail)
        return last


class _WindowProducer(_Producer):
    """Takes tickets for all that is buffered, and fills their slots in one write."""

    def __init__(self, client: Client, channel: MemcachedTicketChannel) -> None:
        super().__init__(client, channel)
        self._waiting: list[bytes] = []

    def send(self, body: bytes) -> None:
        self._waiting.append(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._waiting.append

    def flush(self) -> None:
        waiting = self._waiting.copy()
        self._waiting.clear()
        if waiting:
            self._check(max(waiting, key=len))
            first = self._take(len(waiting)) - len(waiting) + 1
            self._client.set_many({f"{self._prefix}{n}": body for n, body in enumerate(waiting, first)})

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._client.close()


class _Consumer(Consumer):
    """Takes the next ticket, even before a producer has, and polls its slot."""

    def __init__(self, client: Client, channel: MemcachedTicketChannel) -> None:
        self._client = client
        self._head, self._tail, self._prefix = channel.head, channel.tail, channel.slot_prefix
        self._most_pause_s = int(channel.chosen["max_pause_us"]) / 1e6
        self._patience_s = int(channel.chosen["patience_ms"]) / 1e3
        self._overdue = 0  # the last ticket known to have been taken at least ``patience_ms`` ago

    def receive(self) -> Sequence[bytes]:
        while True:
            tickets = self._take()
            slots = [f"{self._prefix}{ticket}" for ticket in tickets]
            found: dict[str, bytes] = self._client.get_many(slots)
            if len(found) < len(slots):
                self._await(slots, tickets[-1], found)
            if found:
                # No answer is needed: the ticket alone keeps others from reading the slot.
                self._client.delete_many(slots, noreply=True)
                return [found[slot] for slot in slots if slot in found]

    def close(self) -> None:
        self._client.close()

    def _take(self) -> range:
        ticket: int | None = self._client.incr(self._head, 1)
        if ticket is None:
            raise counter_gone(self._head)
        return range(ticket, ticket + 1)

    def _await(self, slots: list[str], last: int, found: dict[str, bytes]) -> None:
        """Poll for the slots that are not in ``found`` and add them, until all are there or given up.

        A slot is given up when it is missing ``patience_ms`` after its ticket was seen to be taken. So a
        consumer waits at an empty queue for ever, and of many holes only the first costs time.
        """
        waited_s, pause_s, taken = 0.0, FIRST_PAUSE_S, self._overdue
        while len(found) < len(slots) and last > self._overdue:
            time.sleep(pause_s)
            waited_s += pause_s
            pause_s = min(pause_s * 2, self._most_pause_s)
            found.update(self._client.get_many([slot for slot in slots if slot not in found]))
            if waited_s > self._patience_s:
                self._overdue, taken, waited_s = taken, self._tickets_taken(), 0.0

    def _tickets_taken(self) -> int:
        tail: bytes | None = self._client.get(self._tail)
        if tail is None:
            raise counter_gone(self._tail)
        return int(tail)


class _WindowConsumer(_Consumer):
    """Takes up to ``window`` tickets at once, but only those that producers took before.

    Plain incr would take tickets of future messages, and with them the turn of every other consumer: of 4
    consumers with a window of 100, one would get all of the next 100 messages. So this uses cas.
    """

    def __init__(self, client: Client, channel: MemcachedTicketChannel) -> None:
        super().__init__(client, channel)
        self._window = channel.site.window

    def _take(self) -> range:
        pause_s = FIRST_PAUSE_S
        while True:
            counters = self._client.gets_many([self._head, self._tail])
            if len(counters) < 2:
                raise counter_gone(self._head)
            (head, unchanged), (tail, _) = counters[self._head], counters[self._tail]
            first = int(head) + 1
            end = min(first + self._window, int(tail) + 1)
            if first == end:
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, self._most_pause_s)
            elif self._client.cas(self._head, str(end - 1), unchanged):
                return range(first, end)
