"""JetStream: a stream from which each message is deleted once one consumer has acknowledged it."""

from __future__ import annotations

import asyncio
from typing import ClassVar, Literal

from ipclab.backends.base import Channel, Consumer, Guarantees, LossCause, Option, Producer
from ipclab.backends.nats.channels import GROUP, MAX_MESSAGE_BYTES, Arrivals
from ipclab.backends.nats.client import REPLY_TIMEOUT_S, Link
from ipclab.errors import BrokerUnavailableError

LACKS_JETSTREAM = "JetStream, which nats-server has with -js"


class JetStreamChannel(Channel):
    """A stream with the retention of a work queue, and one durable consumer that all members share.

    The server answers for each message once it is in the stream. With ``storage=file`` it has written it to
    its file, and flushes the file every two minutes. With ``storage=memory`` the stream itself is gone after
    a restart, and so is the channel: publishers get errors.

    The server pushes messages, up to ``max_ack_pending`` unacknowledged ones over all members. It delivers a
    message again that is not acknowledged within ``ack_wait_ms``, whether its consumer is dead or slow.
    """

    name = "nats-jetstream"
    summary = "NATS JetStream: a stream as a work queue, acknowledged, delivered again after a crash"
    broker = "nats"
    windowed = True
    options: ClassVar[tuple[Option, ...]] = (
        Option("storage", "file", "where the server keeps the stream", ("file", "memory")),
        Option("ack_wait_ms", 1000, "unacknowledged for this long, a message is delivered again"),
        Option("max_ack_pending", 1000, "unacknowledged messages over all consumers"),
    )

    @property
    def stream(self) -> str:
        """Return the name of the stream, which is its subject too."""
        return f"{self.site.namespace}:messages"

    @property
    def guarantees(self) -> Guarantees:
        stored = self.chosen["storage"] == "file"
        may_lose: set[LossCause] = set() if stored else {"broker crash"}
        return Guarantees(
            delivery="at-least-once",
            may_lose=frozenset(may_lose),
            order="per-producer",
            durability="disk" if stored else "none",
            confirm="broker",
            reach="network",
            max_message_bytes=MAX_MESSAGE_BYTES,
        )

    @property
    def redelivers_after_s(self) -> float:
        return int(self.chosen["ack_wait_ms"]) / 1000

    @property
    def most_in_flight(self) -> int | None:
        return int(self.chosen["max_ack_pending"])

    def lacks(self) -> str:
        link = Link(self.site.broker_url)
        try:
            return "" if has_jetstream(link) else LACKS_JETSTREAM
        finally:
            link.close()

    def setup(self) -> None:
        from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType

        link = Link(self.site.broker_url)
        try:
            if not has_jetstream(link):
                raise BrokerUnavailableError(f"the server lacks {LACKS_JETSTREAM}")
            jetstream = link.client.jetstream(timeout=REPLY_TIMEOUT_S)
            link.run(
                jetstream.add_stream(
                    name=self.stream,
                    subjects=[self.stream],
                    retention=RetentionPolicy.WORK_QUEUE,
                    storage=StorageType(str(self.chosen["storage"])),
                )
            )
            link.run(
                jetstream.add_consumer(
                    self.stream,
                    ConsumerConfig(
                        durable_name=GROUP,
                        deliver_subject=f"{self.stream}:deliver",
                        deliver_group=GROUP,
                        ack_wait=self.redelivers_after_s,
                        max_ack_pending=self.most_in_flight,
                    ),
                )
            )
        finally:
            link.close()

    def producer(self, index: int) -> Producer:
        return _StreamPublisher(Link(self.site.broker_url), self.stream, self.site.window)

    def consumer(self, index: int) -> Consumer:
        return _StreamMember(Link(self.site.broker_url), self.stream, self.site.window)

    def teardown(self) -> None:
        import nats.js.errors

        link = Link(self.site.broker_url)
        try:
            link.run(link.client.jetstream(timeout=REPLY_TIMEOUT_S).delete_stream(self.stream))
        except (nats.js.errors.NotFoundError, nats.js.errors.ServiceUnavailableError):
            pass  # no such stream, or no JetStream
        finally:
            link.close()


def has_jetstream(link: Link) -> bool:
    """Return whether the server of this connection has JetStream, as it said when it greeted the client."""
    return bool(link.client._server_info.get("jetstream"))


class _StreamPublisher(Producer):
    """Publishes, and waits for the answer to each message; with a window, for all answers at its end."""

    def __init__(self, link: Link, stream: str, window: int) -> None:
        self._link, self._stream, self._window = link, stream, window
        self._jetstream = link.client.jetstream(
            timeout=REPLY_TIMEOUT_S, publish_async_max_pending=max(window, 4000)
        )
        self._waiting: list[bytes] = []

    def send(self, body: bytes) -> None:
        if self._window == 1:
            self._link.run(self._jetstream.publish(self._stream, body))
        else:
            self._waiting.append(body)

    def flush(self) -> None:
        # Cleared first: a message is never published twice, whatever the answer is.
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._link.run(self._publish(waiting))

    async def _publish(self, bodies: list[bytes]) -> None:
        answers = [await self._jetstream.publish_async(self._stream, body) for body in bodies]
        await asyncio.wait_for(asyncio.gather(*answers), REPLY_TIMEOUT_S)

    def close(self) -> None:
        try:
            if not self._link.client.is_closed:
                self.flush()
        finally:
            self._link.close()


class _StreamMember(Arrivals):
    """Takes messages of the durable consumer, and acknowledges each of them.

    Like most programs it does not wait for the server to confirm its acknowledgements. They are written to
    the socket when ``ack()`` returns.
    """

    acknowledges = rejects = True

    def __init__(self, link: Link, stream: str, window: int) -> None:
        self._stream = stream
        super().__init__(link, window)

    async def subscribe(self) -> None:
        await self.link.client.subscribe(f"{self._stream}:deliver", queue=GROUP, cb=self.on_message)
        await self.link.client.flush()

    def ack(self) -> None:
        if self.returned:
            self.link.run(self._answer("ack"))

    def reject(self) -> None:
        if self.returned:
            self.link.run(self._answer("nak"))

    async def _answer(self, word: Literal["ack", "nak"]) -> None:
        returned, self.returned = self.returned, []
        for message in returned:
            await (message.ack() if word == "ack" else message.nak())
        await self.link.write_out()
