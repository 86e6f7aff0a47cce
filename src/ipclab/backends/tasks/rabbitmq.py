"""What the task queues on RabbitMQ share: what their queues hold, and the clean-up."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection
from typing import ClassVar

import pika.exceptions

from ipclab.backends.rabbitmq.connection import connect
from ipclab.backends.tasks.base import FrameworkQueue
from ipclab.backends.tasks.redis import contains, texts_in

_REQUEUED_WITHIN_S = 1.0
"""How soon the server puts back what a killed worker had not acknowledged."""


class RabbitmqTaskQueue(FrameworkQueue):
    """A task queue with the queues ``queues()`` on RabbitMQ."""

    broker: ClassVar[str] = "rabbitmq"
    shared_exchanges: ClassVar[tuple[str, ...]] = ()
    """Exchanges that all applications of the framework share; they are deleted where nobody uses them."""

    def queues(self) -> tuple[str, ...]:
        """Return the names of the queues whose tasks may still be done."""
        return (self.queue_name,)

    def others(self) -> tuple[str, ...]:
        """Return the names of the queues whose tasks are not done again."""
        return ()

    def setup(self) -> None:
        """Make nothing: the framework declares its queues."""

    def teardown(self) -> None:
        """Delete the queues and the exchange of this trial."""
        with connect(self.site.broker_url) as connection:
            for name in (*self.queues(), *self.others()):
                connection.channel().queue_delete(name)
            connection.channel().exchange_delete(self.queue_name)
            for name in self.shared_exchanges:
                with contextlib.suppress(pika.exceptions.ChannelClosedByBroker):
                    connection.channel().exchange_delete(name, if_unused=True)

    def held(self, bodies: Collection[str]) -> set[str]:
        """Return those of these tasks that are in a queue; all of them stay there."""
        time.sleep(_REQUEUED_WITHIN_S)
        found: list[bytes] = []
        with connect(self.site.broker_url) as connection:
            for name in self.queues():
                channel = connection.channel()
                try:
                    while (message := channel.basic_get(name))[0] is not None:
                        found += texts_in(message[2])
                except pika.exceptions.ChannelClosedByBroker:
                    continue
        return {body for body in bodies if any(contains(text, body) for text in found)}
