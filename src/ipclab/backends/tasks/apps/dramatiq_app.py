"""A dramatiq broker with the actor ``effect``; everything that no option names is dramatiq's default."""

from __future__ import annotations

from typing import Any

import dramatiq

from ipclab.backends.tasks.apps.settings import read
from ipclab.tasks import effect


def _broker() -> Any:
    settings = read()
    if not settings.url.startswith("redis"):
        from dramatiq.brokers.rabbitmq import RabbitmqBroker

        return RabbitmqBroker(url=settings.url, confirm_delivery=settings.options["confirm"] == "publisher")
    from dramatiq.brokers.redis import RedisBroker

    namespace = f"{settings.queue}:"
    if settings.options["heartbeat"] == "short":
        return RedisBroker(
            url=settings.url, namespace=namespace, heartbeat_timeout=3000, maintenance_chance=1_000_000
        )
    return RedisBroker(url=settings.url, namespace=namespace)


broker = _broker()
dramatiq.set_broker(broker)
actor: Any = dramatiq.actor(effect, actor_name="effect", queue_name=read().queue)
