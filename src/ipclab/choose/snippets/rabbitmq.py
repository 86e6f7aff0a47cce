"""Jobs in a RabbitMQ queue, with the settings that were measured."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pika
from pika.adapters.blocking_connection import BlockingChannel

URL = os.environ.get("RABBITMQ_URL", "amqp://guest:guest@localhost:5672/%2F")
QUEUE = "jobs"
QUEUE_TYPE = "classic"
ACK = "manual"
CONFIRM = "publisher"
DELIVERY = "persistent"
PREFETCH = 100


def work(job: bytes) -> None:
    """Do one job: put your own code here. With ACK manual it must not matter if a job is done twice."""


@contextmanager
def channel() -> Iterator[BlockingChannel]:
    """Connect, and declare the queue."""
    with pika.BlockingConnection(pika.URLParameters(URL)) as connection:
        opened = connection.channel()
        opened.queue_declare(QUEUE, durable=True, arguments={"x-queue-type": QUEUE_TYPE})
        yield opened


def send(jobs: list[bytes]) -> None:
    """Send jobs. With CONFIRM publisher the server has each of them when this returns."""
    mode = pika.DeliveryMode.Persistent if DELIVERY == "persistent" else pika.DeliveryMode.Transient
    properties = pika.BasicProperties(delivery_mode=mode.value)
    with channel() as opened:
        if CONFIRM == "publisher":
            opened.confirm_delivery()
        for job in jobs:
            opened.basic_publish("", QUEUE, job, properties, mandatory=True)


def worker(many: int | None = None) -> None:
    """Do jobs for ever, or this many."""
    with channel() as opened:
        if ACK == "manual":
            opened.basic_qos(prefetch_count=PREFETCH)
        for number, (method, _, job) in enumerate(opened.consume(QUEUE, auto_ack=ACK == "auto"), 1):
            work(job)
            if ACK == "manual":
                opened.basic_ack(method.delivery_tag)
            if number == many:
                opened.cancel()
                return


if __name__ == "__main__":
    send([b"first job", b"second job"])
    worker(2)
