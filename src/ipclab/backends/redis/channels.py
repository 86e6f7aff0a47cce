"""Channels over a Redis server: lists, lists with acknowledgement, streams, publish and subscribe.

With a window of 1 each ``send()`` is one command and waits for its answer. With a larger window, ``send()``
buffers and ``flush()`` sends all of it in one write, then reads all the answers.

None of these survives a restart of the server unless the server is configured to persist. The client
cannot know that, so it is not declared.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from ipclab.backends.base import Channel, Consumer, Guarantees, Option, Producer
from ipclab.backends.redis import rights
from ipclab.backends.redis.client import Pipeline, Sender, WindowSender, connect, require_version

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import PubSub

MAX_BULK_BYTES = 512 * 1024 * 1024
"""Redis's default of ``proto-max-bulk-len``: the longest argument of a command."""

MAX_PUBSUB_BYTES = 28 * 1024 * 1024
"""Redis's default output buffer for a subscriber: 32 MiB, less what the allocator rounds up."""

BLOCK_MS = 500
"""How long a consumer waits before it looks for messages of dead consumers to rescue."""


class RedisChannel(Channel):
    """The common part of the Redis channels. Every key is the namespace and one more word."""

    broker = "redis"
    windowed = True
    needs: ClassVar[tuple[rights.Command, ...]]
    """The commands that a user must be allowed to run."""

    @property
    def key(self) -> str:
        """Return the key of the list, stream or channel that carries the messages."""
        return f"{self.site.namespace}:messages"

    def keys(self) -> tuple[str, ...]:
        """Return all the keys that this channel may leave on the server."""
        return (self.key,)

    def lacks(self) -> str:
        return rights.lacking(self.site.broker_url, self.name, self.needs)

    def setup(self) -> None:
        with connect(self.site.broker_url) as client:
            self.prepare(client)

    def prepare(self, client: Redis) -> None:
        """Check that the server can do what the channel needs, and create what must exist beforehand."""

    def teardown(self) -> None:
        with connect(self.site.broker_url) as client:
            client.unlink(*self.keys())

    def sender(self, *command: str) -> Producer:
        """Return a producer that sends each message as ``command`` followed by the body."""
        client = connect(self.site.broker_url)
        return Sender(client, command) if self.site.window == 1 else WindowSender(client, command)


class _Popper(Consumer):
    """Pops one message at a time, blocking in the server."""

    def __init__(self, client: Redis, key: str) -> None:
        self._client = client
        self._pop = partial(client.execute_command, "BLPOP", key, 0)

    def receive(self) -> Sequence[bytes]:
        answer: tuple[bytes, ...] = self._pop()  # the list's name and the message
        return answer[1:]

    def close(self) -> None:
        self._client.close()


class _WindowPopper(_Popper):
    """Pops up to ``window`` messages at a time."""

    def __init__(self, client: Redis, key: str, window: int) -> None:
        super().__init__(client, key)
        self._pop = partial(client.execute_command, "BLMPOP", 0, 1, key, "LEFT", "COUNT", window)

    def receive(self) -> Sequence[bytes]:
        answer: tuple[bytes, list[bytes]] = self._pop()
        return answer[1]


class RedisListChannel(RedisChannel):
    """RPUSH and BLPOP. A message that was popped exists only in the consumer, and is lost with it."""

    needs = rights.LIST
    name = "redis-list"
    summary = "a Redis list: RPUSH and BLPOP, nothing kept for a consumer that dies"

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset({"consumer crash", "connection loss", "broker crash"}),
            order="per-producer",
            durability="none",
            confirm="broker",
            reach="network",
            max_message_bytes=MAX_BULK_BYTES,
        )

    def prepare(self, client: Redis) -> None:
        if self.site.window > 1:
            require_version(client, 7, 0, f"{self.name} with a window above 1 (BLMPOP)")

    def producer(self, index: int) -> Producer:
        return self.sender("RPUSH", self.key)

    def consumer(self, index: int) -> Consumer:
        client = connect(self.site.broker_url, reply_timeout_s=None)
        if self.site.window == 1:
            return _Popper(client, self.key)
        return _WindowPopper(client, self.key, self.site.window)


class _Mover(Consumer):
    """Moves messages to a list of its own, and removes them from it when they are acknowledged.

    The name of a consumer's own list is also the name of its connection. So a list whose connection is gone
    belongs to a consumer that died, and any consumer that finds nothing to do moves its messages back to the
    queue. A consumer that is only slow or stopped keeps its connection, and its messages. Messages in the own
    list that were never returned by ``receive()`` arrived over a lost connection, and are moved back as well.
    """

    acknowledges = rejects = True

    def __init__(self, client: Redis, queue: str, own: str, everyone: Sequence[str], window: int) -> None:
        self._client = client
        self._run = Pipeline(client).run
        self._queue, self._own, self._everyone = queue, own, everyone
        self._more = window - 1
        # LLEN says how many moves are worth asking for, so that an idle queue costs no empty answers.
        blocking = ("BLMOVE", queue, own, "LEFT", "RIGHT", BLOCK_MS / 1000)
        self._first = [blocking, ("LLEN", queue)] if self._more else [blocking]
        self._move = ("LMOVE", queue, own, "LEFT", "RIGHT")
        self._unacknowledged: list[bytes] = []
        self._put_back(own)

    def receive(self) -> Sequence[bytes]:
        answers = self._run(self._first)
        while answers[0] is None:
            self._rescue()
            answers = self._run(self._first)
        bodies: list[bytes] = answers[:1]
        if self._more and answers[1]:
            moved = self._run([self._move] * min(self._more, answers[1]))
            bodies += [body for body in moved if body is not None]
        self._unacknowledged += bodies
        return bodies

    def ack(self) -> None:
        if self._unacknowledged:
            self._run([("LREM", self._own, 1, body) for body in self._unacknowledged])
            self._unacknowledged = []

    def reject(self) -> None:
        self._put_back(self._own)
        self._unacknowledged = []

    def close(self) -> None:
        try:
            if self._unacknowledged:
                self._put_back(self._own)
        finally:
            self._client.close()

    def _rescue(self) -> None:
        connected = {client["name"] for client in self._client.client_list()}
        for own in self._everyone:
            if own not in connected or (own == self._own and not self._unacknowledged):
                self._put_back(own)

    def _put_back(self, own: str) -> None:
        # From the end of one list to the front of the other, which keeps the order.
        while self._client.lmove(own, self._queue, "RIGHT", "LEFT") is not None:
            pass


class RedisReliableListChannel(RedisChannel):
    """BLMOVE to the consumer's own list, LREM to acknowledge; ``_Mover`` describes what a crash does."""

    needs = rights.RELIABLE
    name = "redis-list-reliable"
    summary = "a Redis list: BLMOVE to the consumer's own list, LREM to acknowledge, put back after a crash"

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-least-once",
            may_lose=frozenset({"broker crash"}),
            order="per-producer",
            durability="none",
            confirm="broker",
            reach="network",
            max_message_bytes=MAX_BULK_BYTES,
        )

    @property
    def consumer_keys(self) -> tuple[str, ...]:
        """Return the list of each consumer."""
        return tuple(f"{self.site.namespace}:consumer-{index}" for index in range(self.site.consumers))

    def keys(self) -> tuple[str, ...]:
        return (self.key, *self.consumer_keys)

    @property
    def redelivers_after_s(self) -> float:
        return BLOCK_MS / 1000

    def prepare(self, client: Redis) -> None:
        require_version(client, 6, 2, f"{self.name} (BLMOVE)")

    def producer(self, index: int) -> Producer:
        return self.sender("RPUSH", self.key)

    def consumer(self, index: int) -> Consumer:
        own = self.consumer_keys[index]
        client = connect(self.site.broker_url, name=own)
        return _Mover(client, self.key, own, self.consumer_keys, self.site.window)


class _GroupReader(Consumer):
    """Reads a stream as a member of its consumer group.

    Messages that a consumer leaves unacknowledged for ``min_idle_ms`` are claimed by the next consumer that
    starts, or that finds nothing new within a block period. A slow consumer looks dead here: if it takes
    longer than that for its messages, it shares them with another.
    """

    acknowledges = rejects = True

    def __init__(
        self, client: Redis, stream: str, group: str, me: str, window: int, min_idle_ms: int
    ) -> None:
        self._client = client
        self._run = Pipeline(client).run
        # Deleted as well as acknowledged: otherwise an acknowledged entry would stay in memory for ever.
        self._ack: tuple[tuple[str, ...], ...] = (("XACK", stream, group), ("XDEL", stream))
        self._read = [
            ("XREADGROUP", "GROUP", group, me, "COUNT", window, "BLOCK", BLOCK_MS, "STREAMS", stream, ">")
        ]
        self._claim = [("XAUTOCLAIM", stream, group, me, min_idle_ms, "0-0", "COUNT", window)]
        self._unacknowledged: list[bytes] = []
        self._claimed = self._claim_idle()

    def receive(self) -> Sequence[bytes]:
        entries, self._claimed = self._claimed, []
        while not entries:
            answer = self._run(self._read)[0]  # [[stream, entries]], or None once the block period is over
            entries = answer[0][1] if answer else self._claim_idle()
        self._unacknowledged += [entry[0] for entry in entries]
        return [entry[1][1] for entry in entries]  # an entry is its id and [field, value]

    def _claim_idle(self) -> list[Any]:
        # Before Redis 7, an entry that was deleted while it was pending is returned as None.
        return [entry for entry in self._run(self._claim)[0][1] if entry and entry[1]]

    def ack(self) -> None:
        if self._unacknowledged:
            self._run([(*command, *self._unacknowledged) for command in self._ack])
            self._unacknowledged = []

    def reject(self) -> None:
        self._unacknowledged = []  # Redis cannot take an entry back: it stays pending, and is claimed later.

    def close(self) -> None:
        self._client.close()


class RedisStreamChannel(RedisChannel):
    """XADD, a consumer group, XACK with XDEL; ``_GroupReader`` describes what a crash does."""

    needs = rights.STREAM
    name = "redis-stream"
    summary = "a Redis stream read by a consumer group: acknowledged, claimed again after a crash"
    options = (
        Option(
            "min_idle_ms", 1000, "unacknowledged for this long, a message goes to a consumer without work"
        ),
    )
    group: ClassVar[str] = "consumers"

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-least-once",
            may_lose=frozenset({"broker crash"}),
            order="per-producer",
            durability="none",
            confirm="broker",
            reach="network",
            max_message_bytes=MAX_BULK_BYTES,
        )

    @property
    def redelivers_after_s(self) -> float:
        # A consumer looks for such messages once per block period.
        return (int(self.chosen["min_idle_ms"]) + BLOCK_MS) / 1000

    def prepare(self, client: Redis) -> None:
        require_version(client, 6, 2, f"{self.name} (XAUTOCLAIM)")
        client.xgroup_create(self.key, self.group, id="0", mkstream=True)

    def producer(self, index: int) -> Producer:
        return self.sender("XADD", self.key, "*", "b")

    def consumer(self, index: int) -> Consumer:
        client = connect(self.site.broker_url)
        min_idle_ms = int(self.chosen["min_idle_ms"])
        return _GroupReader(client, self.key, self.group, f"consumer-{index}", self.site.window, min_idle_ms)


class _Subscriber(Consumer):
    """Takes what is published while it is subscribed.

    The server disconnects a subscriber whose output buffer overflows. The subscriber then subscribes again,
    and messages published in between are lost silently, as in any program that uses publish and subscribe.
    """

    def __init__(self, client: Redis, channel: str) -> None:
        from redis.exceptions import ConnectionError as RedisConnectionError

        self._client = client
        self._channel = channel
        self._cut_off = RedisConnectionError
        self._subscribe()

    def receive(self) -> Sequence[bytes]:
        while True:
            try:
                return (self._next(block=True)[2],)  # "message", the channel, the body
            except self._cut_off:
                self._pubsub.close()
                self._subscribe()

    def _subscribe(self) -> None:
        """Return once the server has confirmed. Raise redis.ConnectionError where it cannot be reached."""
        self._pubsub: PubSub = self._client.pubsub()  # type: ignore[no-untyped-call]
        self._next = self._pubsub.parse_response
        self._pubsub.subscribe(self._channel)
        self._next(block=True)

    def close(self) -> None:
        self._pubsub.close()
        self._client.close()


class RedisPubSubChannel(RedisChannel):
    """PUBLISH and SUBSCRIBE: every subscribed consumer gets the message, and nothing is stored.

    The answer to PUBLISH only says into how many output buffers the message was put.
    """

    needs = rights.PUBSUB
    name = "redis-pubsub"
    summary = "Redis publish and subscribe: every consumer gets every message, slow ones are cut off"

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset({"consumer crash", "connection loss", "broker crash", "overload"}),
            order="per-producer",
            durability="none",
            confirm="broker",
            reach="network",
            max_message_bytes=MAX_PUBSUB_BYTES,
            fan_out=True,
        )

    @property
    def most_in_flight(self) -> int | None:
        return None

    def keys(self) -> tuple[str, ...]:
        return ()

    def teardown(self) -> None:
        """Do nothing: a Redis channel exists only while a client is subscribed."""

    def producer(self, index: int) -> Producer:
        return self.sender("PUBLISH", self.key)

    def consumer(self, index: int) -> Consumer:
        return _Subscriber(connect(self.site.broker_url, reply_timeout_s=None), self.key)
