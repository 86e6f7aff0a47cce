"""Jobs in memcached, by tickets and slots. Nothing wakes a waiting worker, so it polls.

A job that a worker has taken is lost if the worker dies, and memcached drops jobs when its memory is full.
"""

import itertools
import os
import time
from urllib.parse import unquote, urlsplit

from pymemcache.client.base import Client

URL = os.environ.get("MEMCACHED_URL", "memcached://localhost:11211")
MAX_PAUSE_US = 2000
PATIENCE_MS = 2000
HEAD, TAIL, SLOT = "jobs:head", "jobs:tail", "jobs:"


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def connect() -> Client:
    """Connect, and create the counters of the queue unless they are there."""
    address = urlsplit(URL)
    client = Client((address.hostname or "localhost", address.port or 11211))
    if address.username:
        # A server with a password takes the first value that is set as the login.
        login = f"{unquote(address.username)} {unquote(address.password or '')}"
        client.set("login", login, noreply=False)
    for counter in (HEAD, TAIL):
        client.add(counter, "0", noreply=False)
    return client


def send(jobs: list[bytes]) -> None:
    """Send jobs; the server has each of them when this returns."""
    client = connect()
    for job in jobs:
        ticket = client.incr(TAIL, 1)
        client.set(f"{SLOT}{ticket}", job, noreply=False)
    client.close()


def worker(many: int | None = None) -> None:
    """Do jobs for ever, or this many."""
    client = connect()
    for _ in itertools.count() if many is None else range(many):
        work(take(client))
    client.close()


def take(client: Client) -> bytes:
    """Take the next ticket and wait for its job; skip a job whose sender died before it was stored."""
    while True:
        ticket = client.incr(HEAD, 1)
        job = wait_for(client, ticket)
        if job is not None:
            client.delete(f"{SLOT}{ticket}")
            return job


def wait_for(client: Client, ticket: int) -> bytes | None:
    """Return the job of this ticket; None if it is missing ``PATIENCE_MS`` after the ticket was taken."""
    pause_s = 50e-6
    taken_at: float | None = None
    while (job := client.get(f"{SLOT}{ticket}")) is None:
        if taken_at is None and int(client.get(TAIL) or 0) >= ticket:
            taken_at = time.monotonic()
        if taken_at is not None and time.monotonic() - taken_at > PATIENCE_MS / 1000:
            return None
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, MAX_PAUSE_US / 1e6)
    found: bytes = job
    return found


if __name__ == "__main__":
    send([b"first job", b"second job"])
    worker(2)
