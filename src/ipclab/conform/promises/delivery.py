"""What every channel promises while nothing fails: all of it, once, intact, and in order where declared."""

from __future__ import annotations

from functools import partial
from itertools import chain

from ipclab.conform import ends
from ipclab.conform.bench import Bench
from ipclab.conform.messages import bodies, sequences
from ipclab.conform.modes import Mode
from ipclab.conform.promise import Promise, require, require_same
from ipclab.conform.promises import which
from ipclab.host.start_methods import StartMethod

EACH = 100


def _once(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, producers=3, consumers=3)
    sent = [bodies(producer, EACH) for producer in range(channel.site.producers)]
    require_same(chain(*bench.exchange(channel, sent)), chain(*sent))


def _fan_out(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, producers=3, consumers=3)
    sent = [bodies(producer, EACH) for producer in range(channel.site.producers)]
    received = bench.exchange(channel, sent)
    require(len(received) == channel.site.consumers, f"{len(received)} consumers answered")
    for got in received:
        require_same(got, chain(*sent))


def _order(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, producers=3, consumers=2)
    sent = [bodies(producer, EACH) for producer in range(channel.site.producers)]
    for consumer, got in enumerate(bench.exchange(channel, sent)):
        for producer in range(channel.site.producers):
            seen = sequences(got, producer)
            require(
                seen == sorted(seen),
                f"consumer {consumer} saw a message of producer {producer} after a later one",
            )


def _close(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer = bench.consumer(channel)
    producer = bench.producer(channel)
    sent = bodies(0, mode.window // 2 + 1)
    producer.call(ends.send_unflushed, sent)
    producer.call(ends.close)
    producer.leave()
    require_same(consumer.call(ends.receive, len(sent)), sent)


def _killed_producer(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer = bench.consumer(channel)
    producer = bench.producer(channel)
    sent = bodies(0, 2 * mode.window)
    producer.call(ends.send, sent, mode.window)
    producer.kill()
    require_same(consumer.call(ends.receive, len(sent)), sent)


def _window(bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode)
    consumer, producer = bench.consumer(channel), bench.producer(channel)
    many = 3 * mode.window
    (got,) = ends.exchange([producer], [consumer], [bodies(0, many)], window=mode.window, owed=many)
    require(len(got) == many, f"{len(got)} of {many} messages arrived")
    largest = max(len(batch) for batch in consumer.items)
    require(largest <= mode.window, f"receive() returned {largest} messages with a window of {mode.window}")


def _travel(start_method: StartMethod, bench: Bench, mode: Mode) -> None:
    channel = bench.channel(mode, start_method=start_method)
    require_same(bench.exchange(channel, [bodies(0, 5)])[0], bodies(0, 5))


PROMISES = (
    Promise("once", "each message reaches one consumer, once and intact", "mode", which.queueing, _once),
    Promise("fan-out", "each message reaches every consumer, once", "mode", which.fan_out, _fan_out),
    Promise("order", "no consumer sees an older message of a producer later", "mode", which.ordered, _order),
    Promise(
        "close", "a producer that closes hands over what it buffered", "mode", which.handing_over, _close
    ),
    Promise(
        "confirmed",
        "a confirmed message arrives although its producer is killed",
        "mode",
        which.producer_proof,
        _killed_producer,
    ),
    Promise("window", "receive() returns no more than a window", "mode", which.every, _window),
    Promise(
        "spawn", "it works in spawned workers", "mode", which.every, partial(_travel, "spawn"), once=True
    ),
    Promise(
        "forkserver",
        "it works in workers of a fork server",
        "mode",
        which.every,
        partial(_travel, "forkserver"),
        once=True,
    ),
)
