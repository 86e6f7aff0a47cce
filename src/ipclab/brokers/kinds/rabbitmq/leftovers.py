"""Removes the queues that trials have left on a RabbitMQ."""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.brokers.base import mask
from ipclab.brokers.kinds.base import one_line
from ipclab.errors import BrokerUnavailableError

QUEUES = ("messages", "token", "there:messages", "back:messages")
"""The names of the lab's queues within a namespace. A client of RabbitMQ cannot list queues."""
_NOT_FOUND = 404


def remove(url: str, namespaces: Sequence[str]) -> int:
    """Delete the queues of the lab under these namespaces, and return how many there were.

    Raise BrokerUnavailableError.
    """
    from pika import exceptions

    from ipclab.backends.rabbitmq.connection import connect

    removed = 0
    try:
        with connect(url) as connection:
            channel = connection.channel()
            for queue in (f"{namespace}:{name}" for namespace in namespaces for name in QUEUES):
                try:
                    channel.queue_declare(queue, passive=True)
                    channel.queue_delete(queue)
                except exceptions.ChannelClosedByBroker as closed:
                    if closed.reply_code != _NOT_FOUND:
                        raise
                    channel = connection.channel()
                else:
                    removed += 1
    except (exceptions.AMQPError, OSError) as error:
        raise BrokerUnavailableError(
            f"RabbitMQ at {mask(url)} did not delete the queues: {one_line(error)}"
        ) from None
    return removed
