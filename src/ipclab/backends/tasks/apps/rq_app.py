"""RQ's queue; ``effect`` itself is the job. The prefix of the keys is in ``RQ_KEY_PREFIX``."""

from __future__ import annotations

from redis import Redis
from rq import Queue, Retry

from ipclab.backends.tasks.apps.settings import read
from ipclab.tasks import effect

_settings = read()
queue = Queue(_settings.queue, connection=Redis.from_url(_settings.url))


def submit(body: str) -> None:
    """Submit one job."""
    retry = Retry(max=3) if _settings.options["retry"] == "yes" else None
    queue.enqueue(effect, body, retry=retry)
