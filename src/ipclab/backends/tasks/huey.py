"""huey with one worker process, on Redis."""

from __future__ import annotations

from ipclab.backends.base import Guarantees, Option, Producer
from ipclab.backends.tasks.base import Launch, Submitter
from ipclab.backends.tasks.redis import RedisTaskQueue, declared

_APP = "ipclab.backends.tasks.apps.huey_app"


class HueyQueue(RedisTaskQueue):
    """huey on Redis."""

    name = "huey"
    summary = "huey, one worker process, Redis"
    libraries = ("huey", "redis")
    notices_after_s = 11.0  # The default of --health-check-interval is 10 s.
    options = (Option("retry", "no", "whether tasks have retries=3", ("no", "yes")),)

    @property
    def guarantees(self) -> Guarantees:
        """Return that a task that runs is lost with its process."""
        return declared("at-most-once", "consumer crash", "broker crash")

    def patterns(self) -> tuple[str, ...]:
        """Return the patterns of huey's keys; it leaves out all but small letters, digits and dots."""
        kept = "".join(c for c in self.queue_name if c.islower() or c.isdigit() or c == ".")
        return (f"huey.*.{kept}*", f"huey.*{self.queue_name}*")

    def submitter(self, index: int) -> Producer:
        """Import the application, which connects on the first task."""
        self.enter()
        from ipclab.backends.tasks.apps.huey_app import task

        return Submitter(task)

    def worker(self, index: int) -> Launch:
        """Return ``huey_consumer`` with one worker process."""
        return self.launch("huey.bin.huey_consumer", f"{_APP}.huey", "-k", "process", "-w", "1")
