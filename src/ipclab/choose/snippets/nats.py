"""Jobs over core NATS: each goes to one of the workers that are subscribed at that time, or to nobody.

Start the workers first. The server stores nothing, so a job is lost with the worker that has it.
"""

import asyncio
import itertools
import os

import nats

URL = os.environ.get("NATS_URL", "nats://localhost:4222")
SUBJECT, GROUP = "jobs", "workers"
CONFIRM = "flush"


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


async def send(jobs: list[bytes]) -> None:
    """Send jobs. With CONFIRM flush the server has processed all of them when this returns."""
    client = await nats.connect(URL, allow_reconnect=False)
    for job in jobs:
        await client.publish(SUBJECT, job)
    await asyncio.sleep(0)  # lets the client write the jobs: flush() would write its PING ahead of them
    if CONFIRM == "flush":
        await client.flush()
    await client.close()


async def worker(many: int | None, ready: asyncio.Event) -> None:
    """Do jobs for ever, or this many; set ``ready`` when the server knows of this worker."""
    client = await nats.connect(URL, allow_reconnect=False)
    jobs = await client.subscribe(SUBJECT, queue=GROUP)
    await client.flush()
    ready.set()
    for _ in itertools.count() if many is None else range(many):
        work((await jobs.next_msg(timeout=None)).data)
    await client.close()


async def main() -> None:
    """Start a worker, and send it two jobs."""
    ready = asyncio.Event()
    at_work = asyncio.create_task(worker(2, ready))
    await ready.wait()
    await send([b"first job", b"second job"])
    await at_work


if __name__ == "__main__":
    asyncio.run(main())
