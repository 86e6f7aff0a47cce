"""A counter made of one RabbitMQ message: the client that holds the message holds the number."""

from __future__ import annotations

from typing import Any, Literal

import pika
from pika.adapters.blocking_connection import BlockingChannel

from ipclab.backends.base import Counter, CounterClient, Option, Pause, SharedState
from ipclab.backends.held import hold
from ipclab.backends.rabbitmq.connection import connect, delete_queue
from ipclab.errors import ChannelError


class TokenQueue(SharedState):
    """A queue that holds exactly one message, the token, whose body is 0 at first."""

    broker = "rabbitmq"
    _is_set_up = False

    @property
    def queue(self) -> str:
        """Return the name of the queue on the server."""
        return f"{self.site.namespace}:token"

    def setup(self) -> None:
        with connect(self.site.broker_url) as connection:
            self._is_set_up = True
            channel = connection.channel()
            # A quorum queue, which may be the default of a virtual host, does not support transactions.
            channel.queue_declare(self.queue, durable=True, arguments={"x-queue-type": "classic"})
            channel.confirm_delivery()
            channel.basic_publish("", self.queue, b"0", mandatory=True)

    def teardown(self) -> None:
        if self._is_set_up:
            delete_queue(self.site.broker_url, self.queue)
            self._is_set_up = False


class RabbitmqCounter(TokenQueue, Counter):
    """Discipline ``token``: a queue holds exactly one message, and its body is the number.

    To increment it, a client subscribes with a prefetch of 1, waits until the broker delivers the token,
    unsubscribes, and in one transaction publishes the successor and acknowledges the token. No client polls,
    and an idle client never keeps the token from the others. A client that dies before its transaction is
    committed returns the token unchanged; after that, its increment has counted.

    Assumptions: no other program uses the queue, and the broker keeps running. The token is not written to
    disk, and AMQP promises no atomic transaction if the broker fails within it.
    """

    name = "rabbitmq"
    summary = "RabbitMQ, one message as the number"
    options = (Option("discipline", "token", "the holder of the one message may replace it", ("token",)),)

    @property
    def safe(self) -> bool:
        return True

    @property
    def reach(self) -> Literal["process tree", "host", "network"]:
        return "network"

    def client(self, index: int) -> CounterClient:
        return TokenClient(self.site.broker_url, self.queue)

    def held_client(self, index: int, pause: Pause) -> CounterClient:
        client = TokenClient(self.site.broker_url, self.queue)
        # The client ends its subscription just after it has received the token.
        client.channel = hold(client.channel, pause, "basic_cancel")
        return client


class TokenClient(CounterClient):
    """Raises ChannelError when the queue is gone, and pika's errors when the connection fails."""

    def __init__(self, url: str, queue: str) -> None:
        self._queue = queue
        self._connection: pika.BlockingConnection = connect(url)
        self.channel: BlockingChannel = self._connection.channel()
        self.channel.basic_qos(prefetch_count=1)
        self.channel.tx_select()
        self._token: tuple[int, int] | None = None

    def increment(self) -> None:
        tag, number = self.take()
        self.channel.basic_publish("", self._queue, b"%d" % (number + 1), mandatory=True)
        self.channel.basic_ack(tag)
        self.channel.tx_commit()

    def read(self) -> int:
        tag, number = self.take()
        self.give_back(tag)
        return number

    def give_back(self, tag: int) -> None:
        """Return the token to the queue unchanged."""
        self.channel.basic_nack(tag, requeue=True)
        self.channel.tx_commit()

    def close(self) -> None:
        if self._connection.is_open:
            self._connection.close()

    def take(self) -> tuple[int, int]:
        """Wait for the token; return its delivery tag and its number."""
        subscription = self.channel.basic_consume(self._queue, self._on_token)
        while (token := self._token) is None:
            if not self.channel.consumer_tags:
                raise ChannelError(
                    f"RabbitMQ ended the subscription to {self._queue}; was the queue deleted?"
                )
            self._connection.process_data_events(None)
        self._token = None
        # While the token is unacknowledged the broker sends no other, so none can arrive before this.
        self.channel.basic_cancel(subscription)
        return token

    def _on_token(self, _channel: object, method: Any, _properties: object, body: bytes) -> None:
        self._token = (method.delivery_tag, int(body))
