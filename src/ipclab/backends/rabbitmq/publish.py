"""The sending ends of the RabbitMQ channels: without confirms, with one at a time, with a window of them.

They publish to the default exchange, which routes by the name of the queue, and mark every message as
mandatory, so that the server returns a message for which it has no queue.
"""

from __future__ import annotations

from typing import Any

import pika
import pika.exceptions
from pika.adapters.blocking_connection import BlockingChannel, ReturnedMessage

from ipclab.backends.base import Producer
from ipclab.backends.rabbitmq.connection import connect, parameters, unavailable


def message_properties(*, persistent: bool) -> pika.BasicProperties:
    """Return properties that say whether the server writes a message to disk."""
    mode = pika.DeliveryMode.Persistent if persistent else pika.DeliveryMode.Transient
    return pika.BasicProperties(delivery_mode=mode.value)


class _BlockingPublisher(Producer):
    """Publishes over pika's blocking connection."""

    def __init__(self, url: str, queue: str, *, persistent: bool) -> None:
        self._connection = connect(url)
        self._channel: BlockingChannel = self._connection.channel()
        self._publish = self._channel.basic_publish
        self._queue = queue
        self._properties = message_properties(persistent=persistent)

    def send(self, body: bytes) -> None:
        self._publish("", self._queue, body, self._properties, True)

    def close(self) -> None:
        if self._connection.is_open:
            self._connection.close()


class UnconfirmedPublisher(_BlockingPublisher):
    """Writes messages to the socket. ``close()`` raises UnroutableError if the server returned any."""

    def __init__(self, url: str, queue: str, *, persistent: bool) -> None:
        super().__init__(url, queue, persistent=persistent)
        self._returned: list[ReturnedMessage] = []
        self._channel.add_on_return_callback(self._on_return)

    def _on_return(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        self._returned.append(ReturnedMessage(method, properties, body))

    def close(self) -> None:
        if self._connection.is_open:
            # Any answer is enough: the server sends it after it has processed all earlier publishes.
            self._channel.basic_qos()
            self._connection.process_data_events()
        super().close()
        if self._returned:
            raise pika.exceptions.UnroutableError(self._returned)


class ConfirmedPublisher(_BlockingPublisher):
    """Waits in ``send()`` for the confirm; raises UnroutableError or NackError for a refused message."""

    def __init__(self, url: str, queue: str, *, persistent: bool) -> None:
        super().__init__(url, queue, persistent=persistent)
        self._channel.confirm_delivery()


class WindowPublisher(Producer):
    """Buffers in ``send()``; ``flush()`` writes everything out and waits until all of it is confirmed.

    pika's blocking connection can only wait for one confirm at a time, so this class uses the asynchronous
    connection and runs its event loop in ``flush()`` until the last confirm. Callbacks run only while the
    loop runs, so the loop is never stopped when it is not running. Nothing is sent or read between two
    flushes, not even heartbeats.

    ``flush()`` raises NackError (its ``messages`` are delivery tags) or UnroutableError where the server
    refused some of the messages, and pika's own reason where the channel or the connection failed.
    """

    def __init__(self, url: str, queue: str, *, persistent: bool) -> None:
        self._queue = queue
        self._properties = message_properties(persistent=persistent)
        self._sent = 0
        self._unconfirmed: set[int] = set()
        self._nacked: list[int] = []
        self._returned: list[ReturnedMessage] = []
        self._failure: BaseException | None = None

        chosen = parameters(url)
        self._connection = pika.SelectConnection(
            chosen, self._on_open, on_open_error_callback=self._on_failure, on_close_callback=self._on_failure
        )
        self._loop = self._connection.ioloop
        failure = self._run()
        if failure is not None:
            self._disconnect()
            raise unavailable(chosen, failure) from failure
        self._publish = self._channel.basic_publish

    def send(self, body: bytes) -> None:
        self._publish("", self._queue, body, self._properties, True)
        self._sent += 1
        self._unconfirmed.add(self._sent)

    def flush(self) -> None:
        failure = self._run() if self._unconfirmed and self._failure is None else self._failure
        if failure is not None:
            raise failure
        # Both belong to this window: anything left over would count for the next window.
        nacked, self._nacked = self._nacked, []
        returned, self._returned = self._returned, []
        if nacked:
            raise pika.exceptions.NackError(nacked)
        if returned:
            raise pika.exceptions.UnroutableError(returned)

    def close(self) -> None:
        try:
            if self._connection.is_open:
                self.flush()
        finally:
            self._disconnect()

    def _disconnect(self) -> None:
        if self._connection.is_open:
            self._connection.close()
        # The loop also stops for the channel, which closes before its connection.
        while not self._connection.is_closed:
            self._run()
        self._loop.close()

    def _run(self) -> BaseException | None:
        """Run the event loop until a callback stops it; return the first failure so far, None without one."""
        self._loop.start()
        return self._failure

    def _on_open(self, connection: pika.SelectConnection) -> None:
        self._channel = connection.channel(on_open_callback=self._on_channel_open)
        self._channel.add_on_close_callback(self._on_failure)
        self._channel.add_on_return_callback(self._on_return)

    def _on_channel_open(self, channel: pika.channel.Channel) -> None:
        channel.confirm_delivery(self._on_confirm, callback=self._on_confirm_mode)

    def _on_confirm_mode(self, _frame: object) -> None:
        self._loop.stop()

    def _on_confirm(self, frame: Any) -> None:
        method = frame.method
        if method.multiple:
            tags = [tag for tag in self._unconfirmed if tag <= method.delivery_tag]
            self._unconfirmed.difference_update(tags)
        else:
            tags = [method.delivery_tag]
            self._unconfirmed.discard(method.delivery_tag)
        if isinstance(method, pika.spec.Basic.Nack):
            self._nacked += tags
        if not self._unconfirmed:
            self._loop.stop()

    def _on_return(self, _channel: object, method: Any, properties: Any, body: bytes) -> None:
        self._returned.append(ReturnedMessage(method, properties, body))

    def _on_failure(self, _where: object, reason: BaseException) -> None:
        # The first failure is the cause: a channel fails with its connection, and both with a close().
        if self._failure is None:
            self._failure = reason
        self._loop.stop()
