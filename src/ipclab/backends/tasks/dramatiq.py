"""dramatiq with one process of one thread, on Redis and on RabbitMQ."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ipclab.backends.base import Guarantees, Option, Producer
from ipclab.backends.tasks.base import FrameworkQueue, Launch, Submitter
from ipclab.backends.tasks.rabbitmq import RabbitmqTaskQueue
from ipclab.backends.tasks.redis import RedisTaskQueue, declared, values

_APP = "ipclab.backends.tasks.apps.dramatiq_app"


class _Dramatiq(FrameworkQueue):
    def submitter(self, index: int) -> Producer:
        """Import the application, which connects on the first message."""
        self.enter()
        from ipclab.backends.tasks.apps.dramatiq_app import actor, broker

        return Submitter(actor.send, broker.close)

    def worker(self, index: int) -> Launch:
        """Return ``dramatiq`` with one process of one thread."""
        return self.launch("dramatiq", _APP, "-p", "1", "-t", "1")


class DramatiqRedisQueue(_Dramatiq, RedisTaskQueue):
    """dramatiq on Redis."""

    name = "dramatiq-redis"
    summary = "dramatiq, one process, Redis"
    libraries = ("dramatiq", "redis")
    options = (
        Option(
            "heartbeat",
            "default",
            "60 s with maintenance now and then, or 3 s with maintenance at each command",
            ("default", "short"),
        ),
    )

    @property
    def guarantees(self) -> Guarantees:
        """Return that tasks of a dead worker are done again after the heartbeat timeout."""
        return declared("at-least-once", "broker crash")

    @property
    def redelivers_after_s(self) -> float:
        """Return the heartbeat timeout, and some time for the next maintenance."""
        return 4.0 if self.chosen["heartbeat"] == "short" else 120.0

    def waiting(self, client: Any) -> Iterator[bytes]:
        """Yield all messages but the dead letters."""
        for key in self._keys(client):
            if not key.endswith((b".XQ", b".XQ.msgs")):
                yield from values(client, key)


class DramatiqRabbitmqQueue(_Dramatiq, RabbitmqTaskQueue):
    """dramatiq on RabbitMQ."""

    name = "dramatiq-rabbitmq"
    summary = "dramatiq, one process, RabbitMQ"
    libraries = ("dramatiq", "pika")
    options = (Option("confirm", "none", "whether a submission waits for the broker", ("none", "publisher")),)

    @property
    def guarantees(self) -> Guarantees:
        """Return that a crash of the broker loses tasks unless submissions are confirmed."""
        if self.chosen["confirm"] == "publisher":
            return declared("at-least-once", disk=True)
        return declared("at-least-once", "broker crash", confirm="written", disk=True)

    @property
    def redelivers_after_s(self) -> float:
        """Return 0: the server redelivers when the connection is gone."""
        return 0.0

    def queues(self) -> tuple[str, ...]:
        """Return the queue and that of delayed messages."""
        return (self.queue_name, f"{self.queue_name}.DQ")

    def others(self) -> tuple[str, ...]:
        """Return the queue of dead letters."""
        return (f"{self.queue_name}.XQ",)
