"""Celery with its prefork worker, on Redis and on RabbitMQ."""

from __future__ import annotations

from ipclab.backends.base import Guarantees, LossCause, Option, Producer
from ipclab.backends.tasks.base import NEVER_S, FrameworkQueue, Launch, Submitter
from ipclab.backends.tasks.rabbitmq import RabbitmqTaskQueue
from ipclab.backends.tasks.redis import RedisTaskQueue, declared

_ACK = Option(
    "ack",
    "early",
    "before a task runs, after it (late), or late and rejected where its process is lost",
    ("early", "late", "reject"),
)
_PREFETCH = Option("prefetch", 4, "worker_prefetch_multiplier")
_APP = "ipclab.backends.tasks.apps.celery_app"
_BROKER: LossCause = "broker crash"
_WORKER: LossCause = "consumer crash"


class _Celery(FrameworkQueue):
    notices_after_s = 6.0  # The prefork pool looks after its processes every 5 s.

    def submitter(self, index: int) -> Producer:
        """Import the application, which connects on the first task."""
        self.enter()
        from ipclab.backends.tasks.apps.celery_app import app, task

        return Submitter(lambda body: task.apply_async((body,)), app.close)

    def worker(self, index: int) -> Launch:
        """Return ``celery worker`` with one child; it joins no other workers."""
        arguments = ("-c", "1", "-Q", self.queue_name, "--without-mingle", "--without-gossip")
        return self.launch("celery", "-A", _APP, "worker", *arguments)


class CeleryRedisQueue(_Celery, RedisTaskQueue):
    """Celery on Redis."""

    name = "celery-redis"
    summary = "Celery, prefork worker, Redis"
    libraries = ("celery", "kombu", "redis")
    options = (
        _ACK,
        _PREFETCH,
        Option("timeout_s", 3600, "visibility_timeout: seconds until an unacknowledged task is done again"),
        Option("sweep", "default", "how often the worker looks for such tasks", ("default", "fast")),
    )

    @property
    def guarantees(self) -> Guarantees:
        """Return that only late tasks that are rejected survive their process."""
        if self.chosen["ack"] == "early":
            return declared("at-most-once", _WORKER, _BROKER)
        if self.chosen["ack"] == "late":
            return declared("at-least-once", _WORKER, _BROKER)
        return declared("at-least-once", _BROKER)

    @property
    def redelivers_after_s(self) -> float:
        """Return the visibility timeout and one sweep; never for early acknowledgement."""
        if self.chosen["ack"] == "early":
            return NEVER_S
        return int(self.chosen["timeout_s"]) + (1.0 if self.chosen["sweep"] == "fast" else 100.0)


class CeleryRabbitmqQueue(_Celery, RabbitmqTaskQueue):
    """Celery on RabbitMQ."""

    name = "celery-rabbitmq"
    summary = "Celery, prefork worker, RabbitMQ"
    libraries = ("celery", "kombu", "amqp")
    shared_exchanges = ("celery.pidbox", "reply.celery.pidbox", "celeryev")
    options = (
        _ACK,
        _PREFETCH,
        Option("confirm", "none", "whether a submission waits for the broker", ("none", "publisher")),
    )

    @property
    def guarantees(self) -> Guarantees:
        """Return that only late tasks that are rejected survive their process."""
        confirmed = self.chosen["confirm"] == "publisher"
        causes: tuple[LossCause, ...] = () if self.chosen["ack"] == "reject" else (_WORKER,)
        causes += () if confirmed else (_BROKER,)
        delivery = "at-most-once" if self.chosen["ack"] == "early" else "at-least-once"
        return declared(delivery, *causes, confirm="broker" if confirmed else "written", disk=True)

    @property
    def redelivers_after_s(self) -> float:
        """Return 0: the server redelivers when the connection is gone."""
        return 0.0
