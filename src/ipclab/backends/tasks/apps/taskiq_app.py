"""A taskiq broker with the task ``effect``; everything that no option names is taskiq's default."""

from __future__ import annotations

from typing import Any

from ipclab.backends.tasks.apps.settings import AppSettings, read
from ipclab.tasks import effect


def _broker(settings: AppSettings) -> Any:
    if not settings.url.startswith("redis"):
        from taskiq_aio_pika import AioPikaBroker
        from taskiq_aio_pika.exchange import Exchange
        from taskiq_aio_pika.queue import Queue

        return AioPikaBroker(
            settings.url,
            exchange=Exchange(name=settings.queue),
            task_queues=[Queue(name=settings.queue)],
            dead_letter_queue=Queue(name=f"{settings.queue}.dead"),
        )
    from taskiq_redis import ListQueueBroker, RedisStreamBroker

    if "idle_timeout_s" not in settings.options:
        return ListQueueBroker(settings.url, queue_name=settings.queue)
    return RedisStreamBroker(
        settings.url,
        queue_name=settings.queue,
        consumer_group_name=settings.queue,
        idle_timeout=int(settings.options["idle_timeout_s"]) * 1000,
    )


broker = _broker(read())
task = broker.task(task_name="effect")(effect)
