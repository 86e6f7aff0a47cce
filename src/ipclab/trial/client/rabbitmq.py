"""Faults of pika: a publish that reaches no queue, confirmed or not."""

from __future__ import annotations

from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

from ipclab.backends.rabbitmq.connection import connect, delete_queue
from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import PROGRAM, Bench
from ipclab.trial.client.child import say
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import count

PUBLISHES = 10
CUT_S = 2.0
"""Seconds for which a dead line looks alive, unless the program ends earlier."""


def _publish_astray(parent: Connection, log: Path, url: str, key: str, right: bool) -> str:
    """Publish with confirms under a routing key that leads to no queue."""
    import pika.exceptions

    with ProcessLog(log, PROGRAM) as history, connect(url) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        history.invoke("send", 1)
        try:
            channel.basic_publish("", key, b"1", mandatory=right)
        except pika.exceptions.UnroutableError as error:
            history.fail()
            return f"raised {type(error).__name__}"
        history.ok()
        return "was confirmed"


def _unroutable(bench: Bench, *, right: bool) -> Seen:
    queue = bench.name("messages")
    bench.at_end(delete_queue, bench.url, queue)
    declare(bench, queue)
    program = bench.start("program", _publish_astray, bench.log(PROGRAM), bench.url, f"{queue}-", right)
    words = program.result()
    found = drain(bench, queue)
    finding = (
        f"one publish to a queue that is not there {words}; the queue that is there holds {messages(found)}"
    )
    return Seen(finding=finding, counts={"found": found})


def _publish_cut_off(parent: Connection, log: Path, url: str, key: str, right: bool) -> str:
    """Publish several messages, until all are handed over or one raises; say how many calls returned."""
    import pika.exceptions

    connection = connect(url)
    channel = connection.channel()
    if right:
        channel.confirm_delivery()
    say(parent, "connected")
    parent.recv()
    returned, words = 0, ""
    with ProcessLog(log, PROGRAM) as history:
        for number in range(1, PUBLISHES + 1):
            history.invoke("send", number)
            try:
                channel.basic_publish("", key, str(number).encode())
            except pika.exceptions.AMQPError as error:
                history.info()
                words = f", then one raised {type(error).__name__}"
                break
            history.ok()
            returned += 1
    return f"{returned} of {PUBLISHES} publishes returned{words}"


def _unconfirmed(bench: Bench, *, right: bool) -> Seen:
    queue = bench.name("messages")
    bench.at_end(delete_queue, bench.url, queue)
    declare(bench, queue)
    proxy, url = bench.proxy()
    program = bench.start("program", _publish_cut_off, bench.log(PROGRAM), url, queue, right)
    program.heard()
    with bench.fault("cut", "program"):
        proxy.swallow()
        program.tell("go")
        program.ended_within(CUT_S)
        proxy.reset()
    words = program.result()
    found = drain(bench, queue)
    finding = (
        f"over a line that was dead before it was known to be, {words}; the queue holds {messages(found)}"
    )
    return Seen(finding=finding, counts={"found": found})


def declare(bench: Bench, queue: str) -> None:
    """Declare a durable queue."""
    with connect(bench.url) as connection:
        connection.channel().queue_declare(queue, durable=True)


def drain(bench: Bench, queue: str) -> int:
    """Receive and log all messages of a queue; return how many there were."""
    found = 0
    with bench.server() as history, connect(bench.url) as connection:
        channel = connection.channel()
        while True:
            history.invoke("receive")
            _, _, body = channel.basic_get(queue, auto_ack=True)
            history.ok(None if body is None else int(body))
            if body is None:
                return found
            found += 1


def messages(number: int) -> str:
    """Return a number of messages as words: ``1 message``, ``2 messages``."""
    return count(number, "message", "messages")


_pair = partial(pair, backend="rabbitmq", library="pika", model="delivery", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "unroutable",
        _unroutable,
        asked="a publish with confirms, to a queue that is not there",
        says="confirmed",
        has="nothing",
        default="confirm_delivery(), basic_publish(exchange, key, body)",
        right="confirm_delivery(), basic_publish(…, mandatory=True)",
    ),
    *_pair(
        "unconfirmed",
        _unconfirmed,
        needs="proxy",
        asked=f"{PUBLISHES} publishes over a connection that no longer carries data",
        says="all returned without an error",
        has="nothing",
        default="basic_publish(exchange, key, body)",
        right="confirm_delivery()",
    ),
)
