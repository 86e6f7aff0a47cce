"""Core NATS: publish, and subscribe as one group, of which one member gets each message."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ipclab.backends.base import Channel, Consumer, Guarantees, LossCause, Option, Producer
from ipclab.backends.nats.client import REPLY_TIMEOUT_S, Link

if TYPE_CHECKING:
    from nats.aio.msg import Msg

MAX_MESSAGE_BYTES = 1024 * 1024
"""NATS's default of ``max_payload``."""
GROUP = "consumers"


class NatsChannel(Channel):
    """Core NATS. The server stores nothing: it writes a message to a subscriber that is there, or drops it.

    With ``confirm=flush`` a PING follows the messages, and the PONG says that the server has processed them.
    It does not say that anybody got them. With ``confirm=none`` they are only written to the socket. The
    server cuts off a subscriber for which 64 MiB wait, or that takes nothing for ten seconds.
    """

    name = "nats"
    summary = "core NATS: a queue group, nothing stored, slow consumers are cut off"
    broker = "nats"
    windowed = True
    has_names = False
    options: ClassVar[tuple[Option, ...]] = (
        Option("confirm", "flush", "whether the server answers for messages, by PONG", ("flush", "none")),
    )

    @property
    def subject(self) -> str:
        """Return the subject of the messages."""
        return f"{self.site.namespace}:messages"

    @property
    def guarantees(self) -> Guarantees:
        may_lose: set[LossCause] = {"consumer crash", "connection loss", "broker crash", "overload"}
        if not self._confirmed:
            may_lose |= {"producer crash"}
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset(may_lose),
            order="per-producer",
            durability="none",
            confirm="broker" if self._confirmed else "written",
            reach="network",
            max_message_bytes=MAX_MESSAGE_BYTES,
        )

    @property
    def most_in_flight(self) -> int | None:
        return None

    @property
    def _confirmed(self) -> bool:
        return self.chosen["confirm"] == "flush"

    def setup(self) -> None:
        """Check that the server can be reached: a subject exists while somebody is subscribed."""
        Link(self.site.broker_url).close()

    def producer(self, index: int) -> Producer:
        return _Publisher(Link(self.site.broker_url), self.subject, self.site.window, flushes=self._confirmed)

    def consumer(self, index: int) -> Consumer:
        return _Member(Link(self.site.broker_url), self.subject, self.site.window)

    def teardown(self) -> None:
        """Do nothing: nothing is stored."""


class _Publisher(Producer):
    """Publishes a window of messages, and waits for the PONG where ``flushes``."""

    def __init__(self, link: Link, subject: str, window: int, *, flushes: bool) -> None:
        self._link, self._subject, self._window, self._flushes = link, subject, window, flushes
        self._waiting: list[bytes] = []

    def send(self, body: bytes) -> None:
        if self._window == 1:
            self._link.run(self._publish((body,)))
        else:
            self._waiting.append(body)

    def flush(self) -> None:
        # Cleared first: a message is never published twice, whatever happens.
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._link.run(self._publish(waiting))

    async def _publish(self, bodies: Sequence[bytes]) -> None:
        client, subject = self._link.client, self._subject
        for body in bodies:
            await client.publish(subject, body)
        await self._link.write_out()
        if self._flushes:
            await client.flush(REPLY_TIMEOUT_S)  # type: ignore[arg-type]
            self._link.require_reading()

    def close(self) -> None:
        try:
            if not self._link.client.is_closed:
                self.flush()
        finally:
            self._link.close()


class Arrivals(Consumer):
    """Takes what the server pushes. ``subscribe()`` is the part that differs."""

    def __init__(self, link: Link, window: int) -> None:
        self.link = link
        self.returned: list[Msg] = []
        self._window = window
        self._arrived: deque[Msg] = deque()
        self._some = asyncio.Event()
        try:
            link.run(self.subscribe())
        except BaseException:
            link.close()
            raise

    async def subscribe(self) -> None:
        """Call ``on_message`` for each message from now on. Return once the server knows."""
        raise NotImplementedError

    async def on_message(self, message: Any) -> None:
        """Keep a message that has arrived."""
        self._arrived.append(message)
        self._some.set()

    def receive(self) -> Sequence[bytes]:
        arrived = self._arrived
        if not arrived:
            self._some.clear()
            self.link.run(self._some.wait())
        batch = [arrived.popleft() for _ in range(min(self._window, len(arrived)))]
        self.returned += batch
        return [message.data for message in batch]

    def close(self) -> None:
        self.link.close()


class _Member(Arrivals):
    """A member of the queue group."""

    async def subscribe(self) -> None:
        await self.link.client.subscribe(self.subject, queue=GROUP, cb=self.on_message)
        await self.link.client.flush()

    def __init__(self, link: Link, subject: str, window: int) -> None:
        self.subject = subject
        super().__init__(link, window)

    def receive(self) -> Sequence[bytes]:
        bodies = super().receive()
        self.returned.clear()
        return bodies
