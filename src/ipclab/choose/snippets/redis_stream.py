"""Jobs in a Redis stream, read by a consumer group and acknowledged when they are done.

A job that was not acknowledged for ``MIN_IDLE_MS`` goes to another worker, so a job may be done twice. Work
that takes longer than that needs a larger value.
"""

import itertools
import os
from typing import Any

import redis

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
STREAM, GROUP = "jobs", "workers"
MIN_IDLE_MS = 1000
BLOCK_MS = 500


def work(job: bytes) -> None:
    """Do one job: put your own code here. It must not matter if a job is done twice."""


def send(jobs: list[bytes]) -> None:
    """Send jobs; the server has each of them when this returns."""
    with redis.Redis.from_url(URL) as client:
        for job in jobs:
            client.xadd(STREAM, {"b": job})


def worker(name: str, many: int | None = None) -> None:
    """Do jobs for ever, or this many. Each worker has a name of its own."""
    with redis.Redis.from_url(URL) as client:
        create_group(client)
        for _ in itertools.count() if many is None else range(many):
            number, job = take(client, name)
            work(job)
            client.xack(STREAM, GROUP, number)
            client.xdel(STREAM, number)  # an acknowledged entry would stay in memory


def create_group(client: redis.Redis) -> None:
    """Create the group, from the first job on, unless there is one."""
    try:
        client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    except redis.ResponseError as error:
        if "BUSYGROUP" not in str(error):
            raise


def take(client: Any, name: str) -> tuple[bytes, bytes]:
    """Wait for a job and return its number and itself: a new one, or one that a worker left behind."""
    while True:
        new = client.xreadgroup(GROUP, name, {STREAM: ">"}, count=1, block=BLOCK_MS)
        entries = new[0][1] if new else client.xautoclaim(STREAM, GROUP, name, MIN_IDLE_MS, count=1)[1]
        for number, fields in entries:
            if fields:
                return number, fields[b"b"]


if __name__ == "__main__":
    send([b"first job", b"second job"])
    worker("1", 2)
