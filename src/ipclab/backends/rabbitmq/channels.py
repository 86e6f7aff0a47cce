"""RabbitMQ channels: a classic queue in its several modes, and a quorum queue.

With publisher confirms and a window of 1, each ``send()`` waits for its own confirm; with a larger window
``flush()`` waits for the confirms of all. ``receive()`` returns at most a window of what has arrived, and
one ``ack()`` acknowledges all of it.

Queues are durable whatever the delivery mode, because newer servers refuse others. 16 MiB is the largest
message that RabbitMQ takes by default since version 4.0; older ones and other settings allow more.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from ipclab.backends.base import Channel, Consumer, Guarantees, LossCause, Option, Producer
from ipclab.backends.rabbitmq.connection import connect, delete_queue
from ipclab.backends.rabbitmq.publish import ConfirmedPublisher, UnconfirmedPublisher, WindowPublisher
from ipclab.errors import ChannelError

MAX_MESSAGE_BYTES = 16 * 1024 * 1024

ACK = Option(
    "ack", "manual", "whether a message stays until acknowledged, or is gone once sent", ("manual", "auto")
)
CONFIRM = Option("confirm", "publisher", "whether the broker confirms messages", ("publisher", "none"))
DELIVERY = Option(
    "delivery", "persistent", "whether messages are written to disk", ("persistent", "transient")
)
PREFETCH = Option("prefetch", 100, "unacknowledged messages at a consumer; no limit with ack=auto")


class RabbitmqChannel(Channel):
    """A classic queue.

    ``ack=manual`` delivers at least once: messages that a dead consumer had not acknowledged are redelivered.
    ``ack=auto`` delivers at most once: a message is deleted when it is written to the consumer's socket, and
    there is no bound on them, so the death of either side loses the messages in flight. With ``confirm=none``
    it is unknown whether the broker has a message. ``delivery=transient`` keeps it in the broker's memory
    only.

    A broker that is killed right after the declaration may restart without the queue (``settles_after_s``):
    Erlang's disk_log, which writes Mnesia's log of definitions, buffers for up to 2 s.

    ``durability`` is about the messages in the queue; a confirmed one that is already in flight to an
    auto-acknowledging consumer does not survive the broker.
    """

    name = "rabbitmq"
    summary = "RabbitMQ, classic queue"
    broker = "rabbitmq"
    options: ClassVar[tuple[Option, ...]] = (ACK, CONFIRM, DELIVERY, PREFETCH)
    windowed = True

    settles_after_s = 2.5
    stored: ClassVar[Literal["disk", "quorum"]] = "disk"
    queue_arguments: ClassVar[Mapping[str, str | int]] = {"x-queue-type": "classic"}
    """Sets the type explicitly, because a virtual host may have another default."""

    _is_set_up = False

    @property
    def queue(self) -> str:
        """Return the name of the queue on the server."""
        return f"{self.site.namespace}:messages"

    @property
    def guarantees(self) -> Guarantees:
        may_lose: set[LossCause] = set()
        if not self._acknowledged:
            may_lose |= {"consumer crash", "connection loss", "broker crash"}
        if not self._confirmed:
            may_lose |= {"producer crash", "connection loss", "broker crash"}
            if self.stored == "quorum":
                may_lose |= {"overload"}
        if not self._persistent:
            may_lose |= {"broker crash"}
        return Guarantees(
            delivery="at-least-once" if self._acknowledged else "at-most-once",
            may_lose=frozenset(may_lose),
            order="per-producer",
            durability=self.stored if self._persistent and self._confirmed else "none",
            confirm="broker" if self._confirmed else "written",
            reach="network",
            max_message_bytes=MAX_MESSAGE_BYTES,
        )

    def setup(self) -> None:
        with connect(self.site.broker_url) as connection:
            self._is_set_up = True
            connection.channel().queue_declare(self.queue, durable=True, arguments=dict(self.queue_arguments))

    def producer(self, index: int) -> Producer:
        publisher: type[UnconfirmedPublisher | ConfirmedPublisher | WindowPublisher] = UnconfirmedPublisher
        if self._confirmed:
            publisher = ConfirmedPublisher if self.site.window == 1 else WindowPublisher
        return publisher(self.site.broker_url, self.queue, persistent=self._persistent)

    def consumer(self, index: int) -> Consumer:
        subscriber = AcknowledgingSubscriber if self._acknowledged else Subscriber
        return subscriber(self.site.broker_url, self.queue, self.site.window, int(self.chosen["prefetch"]))

    def teardown(self) -> None:
        if self._is_set_up:
            delete_queue(self.site.broker_url, self.queue)
            self._is_set_up = False

    @property
    def most_in_flight(self) -> int | None:
        return int(self.chosen["prefetch"]) if self._acknowledged else None

    @property
    def _acknowledged(self) -> bool:
        return self.chosen["ack"] == "manual"

    @property
    def _confirmed(self) -> bool:
        return self.chosen["confirm"] == "publisher"

    @property
    def _persistent(self) -> bool:
        return self.chosen.get("delivery", "persistent") == "persistent"


class RabbitmqQuorumChannel(RabbitmqChannel):
    """A quorum queue: a Raft log over the nodes of the cluster (over one node, when there is only one).

    Its messages are always persistent. A broker that is killed soon after the declaration restarts with a
    queue that no client can use (``settles_after_s``). The delivery limit is set very high, because since
    RabbitMQ 4.0 a message is dropped after 20 deliveries that were not acknowledged.

    With ``confirm=none`` messages can be lost although nothing fails. When a publisher closes its connection,
    the queue may learn of that before it reaches the last messages in its log, and then drops them as
    messages of an unknown publisher. Only confirms tell a publisher that it may close, so this mode declares
    ``overload``.
    """

    name = "rabbitmq-quorum"
    summary = "RabbitMQ, quorum queue"
    options = (ACK, CONFIRM, PREFETCH)

    settles_after_s = 3.0
    stored = "quorum"
    queue_arguments: ClassVar[Mapping[str, str | int]] = {
        "x-queue-type": "quorum",
        "x-delivery-limit": 1_000_000,
    }


class Subscriber(Consumer):
    """Takes what the broker pushes, and acknowledges nothing.

    ``receive()`` raises ChannelError where the broker ended the subscription, and pika's error where the
    connection failed.
    """

    def __init__(
        self,
        url: str,
        queue: str,
        window: int,
        prefetch: int,
        arguments: Mapping[str, str] | None = None,
    ) -> None:
        self._arrived: deque[tuple[int, bytes]] = deque()
        self._window = window
        self._queue = queue
        self._connection = connect(url)
        self._channel = self._connection.channel()
        if self.acknowledges:
            self._channel.basic_qos(prefetch_count=prefetch)
        put = self._arrived.append
        self._channel.basic_consume(
            queue,
            lambda _channel, method, _properties, body: put((method.delivery_tag, body)),
            auto_ack=not self.acknowledges,
            arguments=arguments,
        )
        self._last_tag = 0

    def receive(self) -> Sequence[bytes]:
        arrived = self._arrived
        while not arrived:
            if not self._channel.consumer_tags:
                raise ChannelError(
                    f"RabbitMQ ended the subscription to {self._queue}; was the queue deleted?"
                )
            self._connection.process_data_events(None)
        if self._window == 1:
            self._last_tag, body = arrived.popleft()
            return (body,)
        if len(arrived) <= self._window:
            batch = list(arrived)
            arrived.clear()
        else:
            batch = [arrived.popleft() for _ in range(self._window)]
        self._last_tag = batch[-1][0]
        return [body for _, body in batch]

    def close(self) -> None:
        if self._connection.is_open:
            self._connection.close()


class AcknowledgingSubscriber(Subscriber):
    """Acknowledges by ``ack()``, and holds at most ``prefetch`` unacknowledged messages."""

    acknowledges = True
    rejects = True

    def ack(self) -> None:
        # Tag 0 would mean all that the server has sent, including messages not received yet.
        if self._last_tag:
            self._channel.basic_ack(self._last_tag, multiple=True)
            self._last_tag = 0

    def reject(self) -> None:
        """Return it to the queue, near its place there: RabbitMQ delivers it again at once."""
        if self._last_tag:
            self._channel.basic_nack(self._last_tag, multiple=True, requeue=True)
            self._last_tag = 0
