"""Removes the queues that trials have left on a RabbitMQ."""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.brokers.kinds.base import PROBE_TIMEOUT_S, REMOVAL
from ipclab.brokers.kinds.rabbitmq import probe

QUEUES = ("messages", "token", "there:messages", "back:messages", "state", "queue")
"""The names of the queues of the lab and its claims within a namespace. No client can list queues."""
_NOT_FOUND = 404


def remove(url: str, namespaces: Sequence[str]) -> int:
    """Delete the queues of the lab under these namespaces, and return how many there were.

    Raise BrokerUnavailableError.
    """
    from pika import exceptions

    removed = 0
    with probe.connection(url, PROBE_TIMEOUT_S, REMOVAL) as connection:
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
    return removed
