"""Jobs in a Redis list: RPUSH and BLPOP. A job that a worker has taken is lost if the worker dies."""

import itertools
import os

import redis

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
QUEUE = "jobs"


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def send(jobs: list[bytes]) -> None:
    """Send jobs; the server has each of them when this returns."""
    with redis.Redis.from_url(URL) as client:
        for job in jobs:
            client.rpush(QUEUE, job)


def worker(many: int | None = None) -> None:
    """Do jobs for ever, or this many."""
    # Without a time-out: BLPOP waits until there is a job.
    with redis.Redis.from_url(URL, socket_timeout=None) as client:
        for _ in itertools.count() if many is None else range(many):
            _, job = client.blpop([QUEUE], timeout=0)
            work(job)


if __name__ == "__main__":
    send([b"first job", b"second job"])
    worker(2)
