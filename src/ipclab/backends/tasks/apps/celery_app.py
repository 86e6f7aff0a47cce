"""A Celery application with the task ``effect``; everything that no option names is Celery's default."""

from __future__ import annotations

from typing import Any

from celery import Celery

from ipclab.backends.tasks.apps.settings import read
from ipclab.tasks import effect


def _application() -> tuple[Celery, Any]:
    settings = read()
    options = settings.options
    transport: dict[str, Any] = {}
    if settings.url.startswith("redis"):
        transport["global_keyprefix"] = f"{settings.queue}:"
        if "timeout_s" in options:
            transport["visibility_timeout"] = options["timeout_s"]
        if options["sweep"] == "fast":
            transport |= {"unacked_restore_interval": 1, "unacked_restore_throttle": 1}
    elif options["confirm"] == "publisher":
        transport["confirm_publish"] = True
    made = Celery("ipclab", broker=settings.url)
    made.conf.update(
        task_default_queue=settings.queue,
        task_ignore_result=True,
        broker_transport_options=transport,
        broker_connection_retry_on_startup=True,
        task_acks_late=options["ack"] != "early",
        task_reject_on_worker_lost=options["ack"] == "reject",
        worker_prefetch_multiplier=options["prefetch"],
    )
    return made, made.task(name="effect")(effect)


app, task = _application()
