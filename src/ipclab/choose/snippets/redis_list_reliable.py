"""Jobs in a Redis list with acknowledgements: BLMOVE to the worker's own list, LREM when the job is done.

The jobs of a worker that died are put back by any worker that has nothing to do. So a job may be done twice.
"""

import itertools
import os

import redis

URL = os.environ.get("REDIS_URL", "redis://localhost:6379/0")
QUEUE = "jobs"
OWN = "jobs:worker:"
WAIT_S = 0.5


def work(job: bytes) -> None:
    """Do one job: put your own code here. It must not matter if a job is done twice."""


def send(jobs: list[bytes]) -> None:
    """Send jobs; the server has each of them when this returns."""
    with redis.Redis.from_url(URL) as client:
        for job in jobs:
            client.rpush(QUEUE, job)


def worker(name: str, many: int | None = None) -> None:
    """Do jobs for ever, or this many. Each worker has a name of its own."""
    own = f"{OWN}{name}"
    # The name of the connection tells the others that the owner of this list lives.
    with redis.Redis.from_url(URL, client_name=own) as client:
        put_back(client, own)
        for _ in itertools.count() if many is None else range(many):
            while (job := client.blmove(QUEUE, own, WAIT_S, "LEFT", "RIGHT")) is None:
                rescue(client)
            work(job)
            client.lrem(own, 1, job)


def rescue(client: redis.Redis) -> None:
    """Put back the jobs of every worker whose connection is gone."""
    connected = {one["name"] for one in client.client_list()}
    for key in client.scan_iter(match=f"{OWN}*"):
        if key.decode() not in connected:
            put_back(client, key.decode())


def put_back(client: redis.Redis, own: str) -> None:
    """Move the jobs of this list back to the front of the queue, in their order."""
    while client.lmove(own, QUEUE, "RIGHT", "LEFT") is not None:
        pass


if __name__ == "__main__":
    send([b"first job", b"second job"])
    worker("1", 2)
