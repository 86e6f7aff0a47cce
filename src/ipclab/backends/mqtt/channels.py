"""MQTT: publish and subscribe with one of three qualities of service."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from ipclab.backends.base import Channel, Consumer, Guarantees, LossCause, Option, Producer
from ipclab.backends.mqtt.client import Link
from ipclab.errors import ChannelError

if TYPE_CHECKING:
    from paho.mqtt.client import MQTTMessageInfo

MAX_MESSAGE_BYTES = 255 * 1024 * 1024
"""A packet of MQTT has at most 268 435 455 bytes, the topic included."""


class MqttChannel(Channel):
    """A topic to which every consumer is subscribed, with sessions that end with their connection.

    The quality of service is about one hop, from a client to the broker or from the broker to a client. With
    ``qos=0`` a message is written to the socket. With ``qos=1`` and ``qos=2`` the broker has answered for it
    when ``send()`` returns, and with ``qos=2`` a repeated packet is not a second message. No quality says
    that a subscriber has got a message. paho acknowledges when it hands a message over, so one that a
    consumer had in hand is lost with it, and what the broker holds for a subscriber ends with the connection
    or with the broker. Mosquitto drops what exceeds the 1000 messages that it queues for one subscriber.

    Nothing is sent again, because no session outlives its connection: no quality delivers twice here.
    """

    name = "mqtt"
    summary = "MQTT: every consumer gets every message, with quality of service 0, 1 or 2 for each hop"
    broker = "mosquitto"
    windowed = True
    has_names = False
    options: ClassVar[tuple[Option, ...]] = (
        Option("qos", 1, "quality of service of publishers and subscribers", (0, 1, 2)),
    )

    @property
    def topic(self) -> str:
        """Return the topic of the messages."""
        return f"{self.site.namespace}:messages"

    @property
    def qos(self) -> int:
        """Return the quality of service."""
        return int(self.chosen["qos"])

    @property
    def guarantees(self) -> Guarantees:
        may_lose: set[LossCause] = {"consumer crash", "connection loss", "broker crash", "overload"}
        if self.qos == 0:
            may_lose |= {"producer crash"}
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset(may_lose),
            order="per-producer",
            durability="none",
            confirm="broker" if self.qos else "written",
            reach="network",
            max_message_bytes=MAX_MESSAGE_BYTES,
            fan_out=True,
        )

    @property
    def most_in_flight(self) -> int | None:
        return None

    def setup(self) -> None:
        """Check that the broker can be reached: a topic exists while somebody is subscribed."""
        Link(self.site.broker_url).close()

    def producer(self, index: int) -> Producer:
        return _Publisher(Link(self.site.broker_url), self.topic, self.qos, self.site.window)

    def consumer(self, index: int) -> Consumer:
        return _Subscriber(Link(self.site.broker_url), self.topic, self.qos, self.site.window)

    def teardown(self) -> None:
        """Do nothing: the broker stores nothing, and a session ends with its connection."""


class _Publisher(Producer):
    """Publishes, and waits for the broker's answer to each message or to a window of them."""

    def __init__(self, link: Link, topic: str, qos: int, window: int) -> None:
        self._link, self._topic, self._qos, self._window = link, topic, qos, window
        self._sent: list[MQTTMessageInfo] = []

    def send(self, body: bytes) -> None:
        self._sent.append(self._link.client.publish(self._topic, body, self._qos))
        if self._window == 1:
            self.flush()

    def flush(self) -> None:
        sent, self._sent = self._sent, []
        for info in sent:
            if info.rc:
                raise ChannelError(f"the MQTT client did not send a message: {info.rc.name}")
            if not info.is_published():
                self._link.wait(info.is_published)

    def close(self) -> None:
        try:
            if self._link.client.is_connected():
                self.flush()
        finally:
            self._link.close()


class _Subscriber(Consumer):
    """Takes what the broker pushes. paho acknowledges a message when it hands it over."""

    def __init__(self, link: Link, topic: str, qos: int, window: int) -> None:
        self._link, self._window = link, window
        self._arrived: deque[bytes] = deque()
        self._granted: list[Any] = []
        link.client.on_message = self._on_message
        link.client.on_subscribe = self._on_subscribe
        link.client.subscribe(topic, qos)
        try:
            link.wait(lambda: bool(self._granted))
            if self._granted[0].is_failure:
                raise ChannelError(f"the MQTT broker refuses the subscription: {self._granted[0]}")
        except BaseException:
            link.close()
            raise

    def _on_message(self, _client: object, _data: object, message: Any) -> None:
        self._arrived.append(message.payload)

    def _on_subscribe(
        self, _client: object, _data: object, _mid: int, reasons: list[Any], _more: object
    ) -> None:
        self._granted = reasons

    def receive(self) -> Sequence[bytes]:
        arrived = self._arrived
        if not arrived:
            self._link.wait(lambda: bool(arrived), None)
        return [arrived.popleft() for _ in range(min(self._window, len(arrived)))]

    def close(self) -> None:
        self._link.close()
