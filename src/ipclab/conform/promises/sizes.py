"""Which bodies a channel carries: any bytes up to its largest size, and none above that is lost silently."""

from __future__ import annotations

import random

from ipclab.conform import ends
from ipclab.conform.bench import Bench
from ipclab.conform.ends import Remote, RemoteError
from ipclab.conform.modes import Mode
from ipclab.conform.promise import BrokenPromise, Promise, require
from ipclab.conform.promises import which
from ipclab.errors import MessageTooLargeError
from ipclab.trial.check import check
from ipclab.trial.spec import TrialSpec

BODIES = {
    "16 bytes": [bytes(range(16))],
    "every byte value": [bytes(range(256)), bytes(reversed(range(256)))],
    "line ends, zeros and 0xCE, which protocols end their frames with": [
        b"\r\n" * 40,
        bytes(64),
        b"\xce" * 64,
    ],
    "64 KiB": [random.Random(1).randbytes(65_536), random.Random(2).randbytes(65_536)],
}


OBJECTS: tuple[object, ...] = (
    {"a": [1, 2.5, None, True, {"b": "ü"}]},
    ("tuple", b"bytes"),
    list(range(5000)),
)
LIST = list(range(100_000))


def _any_bytes(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    most = channel.guarantees.max_message_bytes
    for what, full in BODIES.items():
        sent = [body[:most] for body in full]
        producer.begin(ends.send, sent, mode.window)
        arrived = sorted(consumer.call(ends.receive, len(sent))) == sorted(sent)
        require(arrived, f"these bytes did not arrive as they were sent: {what}")
        producer.result()


def _objects(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    for sent in OBJECTS:
        producer.begin(ends.send, [sent], mode.window)
        (arrived,) = consumer.call(ends.receive, 1)
        require(arrived == sent, f"{sent!r} arrived as {arrived!r}")
        producer.result()


def _objects_at_once(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    producer.begin(ends.send_lists_and_change_them, [list(LIST)])
    (arrived,) = consumer.call(ends.receive, 1)
    require(arrived == LIST, f"a list that was emptied after send() arrived with {len(arrived)} items")
    producer.result()


def _largest(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    became = _send_one(producer, consumer, _body_of(channel.guarantees.max_message_bytes))
    require(became == "arrived", f"it was {became}")


def _too_large(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    became = _send_one(producer, consumer, _body_of(channel.guarantees.max_message_bytes) + b"!")
    require(became in ("refused", "arrived"), f"it was {became}")


def _trial_refused(_: Bench, mode: Mode) -> None:
    most = mode.guarantees.max_message_bytes
    assert most is not None
    try:
        check(TrialSpec(workload="stream", backend=mode.variant, window=mode.window, size_bytes=most + 100))
    except MessageTooLargeError:
        return
    raise BrokenPromise("the lab would begin the trial")


def _body_of(size_bytes: int | None) -> bytes:
    assert size_bytes is not None
    return random.Random(3).randbytes(size_bytes)


def _send_one(producer: Remote, consumer: Remote, body: bytes) -> str:
    """Return what became of a message; ``lost`` where neither an error nor the message itself came out."""
    consumer.begin(ends.receive, 1)
    try:
        producer.call(ends.send, [body], 1)
        producer.call(ends.close)
    except RemoteError:
        return "refused"
    try:
        return "arrived" if consumer.result() == [body] else "changed"
    except TimeoutError:
        return "lost"


PROMISES = (
    Promise("any-bytes", "any bytes arrive as they were sent", "mode", which.every, _any_bytes),
    Promise("objects", "objects arrive as they were sent", "mode", which.object_carrying, _objects),
    Promise(
        "objects-at-once",
        "an object that is changed after send() arrives as it was",
        "mode",
        which.pickling_at_once,
        _objects_at_once,
    ),
    Promise("largest", "a message of the largest declared size arrives", "mode", which.limited, _largest),
    Promise(
        "too-large",
        "a message above the largest declared size is an error or arrives whole",
        "mode",
        which.limited,
        _too_large,
    ),
    Promise(
        "too-large-trial",
        "a trial of messages above the largest declared size is refused",
        "mode",
        which.limited,
        _trial_refused,
    ),
)
