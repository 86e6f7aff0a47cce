"""taskiq with one worker process that runs one task at a time: Redis lists, Redis streams, RabbitMQ."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from ipclab.backends.base import Guarantees, Option, Producer
from ipclab.backends.tasks.base import FrameworkQueue, Launch, Submitter
from ipclab.backends.tasks.rabbitmq import RabbitmqTaskQueue
from ipclab.backends.tasks.redis import RedisTaskQueue, declared

_APP = "ipclab.backends.tasks.apps.taskiq_app"


class _Taskiq(FrameworkQueue):
    def submitter(self, index: int) -> Producer:
        """Start the broker's client in an event loop of its own, in a thread."""
        self.enter()
        from ipclab.backends.tasks.apps.taskiq_app import broker, task

        loop = asyncio.new_event_loop()
        threading.Thread(target=loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(broker.startup(), loop).result()

        def submit(body: str) -> None:
            asyncio.run_coroutine_threadsafe(task.kiq(body), loop).result()

        return Submitter(submit)

    def worker(self, index: int) -> Launch:
        """Return ``taskiq worker`` with one process and one task at a time."""
        one = ("-w", "1", "--max-async-tasks", "1", "--max-threadpool-threads", "1")
        return self.launch("taskiq", "worker", f"{_APP}:broker", *one)


class TaskiqListQueue(_Taskiq, RedisTaskQueue):
    """taskiq on a Redis list."""

    name = "taskiq-list"
    summary = "taskiq, ListQueueBroker, Redis"
    libraries = ("taskiq", "taskiq-redis", "redis")

    @property
    def guarantees(self) -> Guarantees:
        """Return that what a worker has fetched is lost with it."""
        return declared("at-most-once", "consumer crash", "broker crash")


class TaskiqStreamQueue(_Taskiq, RedisTaskQueue):
    """taskiq on a Redis stream."""

    name = "taskiq-stream"
    summary = "taskiq, RedisStreamBroker, Redis"
    libraries = ("taskiq", "taskiq-redis", "redis")
    options = (Option("idle_timeout_s", 600, "seconds until an unacknowledged message can be claimed"),)

    @property
    def guarantees(self) -> Guarantees:
        """Return that unacknowledged messages stay pending until they are claimed."""
        return declared("at-least-once", "broker crash")

    @property
    def redelivers_after_s(self) -> float:
        """Return the idle timeout."""
        return float(self.chosen["idle_timeout_s"])

    def patterns(self) -> tuple[str, ...]:
        """Return the patterns of the stream and of the lock for claims."""
        return (f"{self.queue_name}*", f"autoclaim:{self.queue_name}*")

    def waiting(self, client: Any) -> Iterator[bytes]:
        """Yield the messages that are pending or that nobody has fetched."""
        with contextlib.suppress(Exception):
            (group,) = client.xinfo_groups(self.queue_name)
            pending = client.xpending_range(self.queue_name, self.queue_name, "-", "+", 1000)
            wanted = {one["message_id"] for one in pending}
            for number, fields in client.xrange(self.queue_name):
                if number in wanted or _after(number, group["last-delivered-id"]):
                    yield from fields.values()


def _after(number: bytes, other: bytes) -> bool:
    """Return whether one id of a stream comes after another."""
    first, second = ([int(part) for part in one.split(b"-")] for one in (number, other))
    return first > second


class TaskiqRabbitmqQueue(_Taskiq, RabbitmqTaskQueue):
    """taskiq on RabbitMQ."""

    name = "taskiq-rabbitmq"
    summary = "taskiq, AioPikaBroker, RabbitMQ"
    libraries = ("taskiq", "taskiq-aio-pika", "aio-pika")

    @property
    def guarantees(self) -> Guarantees:
        """Return that the server redelivers; aio-pika confirms each publication."""
        return declared("at-least-once", disk=True)

    @property
    def redelivers_after_s(self) -> float:
        """Return 0: the server redelivers when the connection is gone."""
        return 0.0

    def others(self) -> tuple[str, ...]:
        """Return the queue of dead letters."""
        return (f"{self.queue_name}.dead",)
