"""Jobs in a stream of NATS JetStream, each of which is deleted when a worker has acknowledged it.

A job that is not acknowledged for ``ACK_WAIT_MS`` goes to another worker, so a job may be done twice. Work
that takes longer than that needs a larger value.
"""

import asyncio
import itertools
import os

import nats
from nats.aio.client import Client
from nats.js.api import ConsumerConfig, RetentionPolicy, StorageType

URL = os.environ.get("NATS_URL", "nats://localhost:4222")
STREAM, GROUP = "jobs", "workers"
STORAGE = "file"
ACK_WAIT_MS = 1000
MAX_ACK_PENDING = 1000


def work(job: bytes) -> None:
    """Do one job: put your own code here. It must not matter if a job is done twice."""


async def connect() -> Client:
    """Connect, and make the stream and its workers' place in it unless they are there."""
    client = await nats.connect(URL, allow_reconnect=False)
    stream = client.jetstream()
    await stream.add_stream(
        name=STREAM,
        subjects=[STREAM],
        retention=RetentionPolicy.WORK_QUEUE,
        storage=StorageType(STORAGE),
    )
    place = ConsumerConfig(
        durable_name=GROUP,
        deliver_subject=f"{STREAM}.deliver",
        deliver_group=GROUP,
        ack_wait=ACK_WAIT_MS / 1000,
        max_ack_pending=MAX_ACK_PENDING,
    )
    await stream.add_consumer(STREAM, place)
    return client


async def send(jobs: list[bytes]) -> None:
    """Send jobs; the server has each of them when this returns."""
    client = await connect()
    for job in jobs:
        await client.jetstream().publish(STREAM, job)
    await client.close()


async def worker(many: int | None = None) -> None:
    """Do jobs for ever, or this many."""
    client = await connect()
    jobs = await client.subscribe(f"{STREAM}.deliver", queue=GROUP)
    for _ in itertools.count() if many is None else range(many):
        message = await jobs.next_msg(timeout=None)
        work(message.data)
        await message.ack()
    await client.close()


async def main() -> None:
    """Send two jobs, and do them."""
    await send([b"first job", b"second job"])
    await worker(2)


if __name__ == "__main__":
    asyncio.run(main())
