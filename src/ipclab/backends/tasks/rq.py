"""RQ, whose worker forks a process for each job."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from ipclab.backends.base import Guarantees, Option, Producer
from ipclab.backends.tasks.base import NEVER_S, Launch, Submitter
from ipclab.backends.tasks.redis import RedisTaskQueue, declared

_PREFIX_VARIABLE = "RQ_KEY_PREFIX"
_UNFINISHED = (b"queued", b"started", b"deferred", b"scheduled", b"created")


class RqQueue(RedisTaskQueue):
    """RQ on Redis."""

    name = "rq"
    summary = "RQ, a process for each job, Redis"
    libraries = ("rq", "redis")
    executor_waits = False
    options = (
        Option("retry", "no", "whether a job is enqueued with Retry(max=3)", ("no", "yes")),
        Option("worker_ttl_s", 420, "--worker-ttl: seconds until a silent worker counts as dead"),
    )

    @property
    def guarantees(self) -> Guarantees:
        """Return that a job of a killed process is done again only with ``Retry``."""
        if self.chosen["retry"] == "no":
            return declared("at-most-once", "consumer crash", "broker crash")
        return declared("at-least-once", "broker crash")

    @property
    def redelivers_after_s(self) -> float:
        """Return the time until an abandoned job is noticed with ``Retry``."""
        return NEVER_S if self.chosen["retry"] == "no" else 110.0

    def submitter(self, index: int) -> Producer:
        """Import the application, which connects on the first job."""
        self.enter()
        os.environ[_PREFIX_VARIABLE] = self.queue_name
        from ipclab.backends.tasks.apps.rq_app import submit

        return Submitter(submit)

    def worker(self, index: int) -> Launch:
        """Return ``rq worker``."""
        found = self.launch(
            "rq.cli", "worker", "--worker-ttl", str(self.chosen["worker_ttl_s"]), self.queue_name
        )
        extra = {_PREFIX_VARIABLE: self.queue_name, "RQ_REDIS_URL": self.site.broker_url}
        return Launch(found.argv, {**found.env, **extra})

    def waiting(self, client: Any) -> Iterator[bytes]:
        """Yield the data of the jobs that have neither finished nor failed."""
        for key in client.scan_iter(f"{self.queue_name}:job:*", count=1000):
            if client.type(key) == b"hash" and client.hget(key, "status") in _UNFINISHED:
                yield from client.hvals(key)
