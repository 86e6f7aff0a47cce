"""The plainest loops for a window of messages: sent in one go and confirmed together, taken as they come.

As in ``plain_loops.py`` nothing is stamped, checked or logged. Each backend has a function that sends a list
of bodies and returns once all of them are confirmed, and one that returns the next bodies, at most a window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from plain_count import Count, Load, Loops, consume_batches, nothing, produce_windows
from plain_loops import (
    memcached_setup,
    memcached_teardown,
    rabbitmq_setup,
    rabbitmq_teardown,
    redis_stream_setup,
    redis_teardown,
    url_of,
)

from ipclab.backends.rabbitmq.connection import connect as connect_rabbitmq
from ipclab.backends.rabbitmq.connection import parameters
from ipclab.backends.redis.client import Pipeline
from ipclab.backends.redis.client import connect as connect_redis

# --- Redis ----------------------------------------------------------------------------------------------


def redis_producer(*command: str) -> Callable[[Load], Count]:
    """Send one command per message, a window of them in one write; ``{}`` stands for the load's name."""

    def producer(load: Load) -> Count:
        run = Pipeline(connect_redis(url_of(load))).run
        words = tuple(word.format(load.name) for word in command)
        return produce_windows(lambda bodies: run([(*words, body) for body in bodies]), load)

    return producer


def redis_list_consumer(load: Load) -> Count:
    command: Any = connect_redis(url_of(load), reply_timeout_s=None).execute_command
    name, window = load.name, load.window
    return consume_batches(lambda: command("BLMPOP", 0, 1, name, "LEFT", "COUNT", window)[1], load)


def redis_reliable_consumer(load: Load) -> Count:
    run, name, mine = Pipeline(connect_redis(url_of(load))).run, load.name, f"{load.name}:mine"
    first = [("BLMOVE", name, mine, "LEFT", "RIGHT", 0.5), ("LLEN", name)]
    move, more = ("LMOVE", name, mine, "LEFT", "RIGHT"), load.window - 1

    def receive() -> list[bytes]:
        while (answers := run(first))[0] is None:
            pass
        bodies = answers[:1]
        if answers[1]:
            bodies += run([move] * min(more, answers[1]))
        run([("LREM", mine, 1, body) for body in bodies])
        return bodies

    return consume_batches(receive, load)


def redis_stream_consumer(load: Load) -> Count:
    run, name = Pipeline(connect_redis(url_of(load))).run, load.name
    group = ("GROUP", "consumers", "me", "COUNT", load.window, "BLOCK", 500, "STREAMS", name, ">")
    read = [("XREADGROUP", *group)]

    def receive() -> list[bytes]:
        while (answer := run(read)[0]) is None:
            pass
        ((_, entries),) = answer
        ids = [entry for entry, _ in entries]
        run([("XACK", name, "consumers", *ids), ("XDEL", name, *ids)])
        return [body for _, (_, body) in entries]

    return consume_batches(receive, load)


def redis_pubsub_consumer(load: Load) -> Count:
    pubsub = connect_redis(url_of(load), reply_timeout_s=None).pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe(load.name)
    pubsub.parse_response(block=True)
    read = pubsub.parse_response
    return consume_batches(lambda: (read(block=True)[2],), load)


# --- RabbitMQ -------------------------------------------------------------------------------------------


def rabbitmq_producer(load: Load) -> Count:
    import pika

    mode = 1 if load.shared["options"].get("delivery") == "transient" else 2
    properties, name = pika.BasicProperties(delivery_mode=mode), load.name
    if load.shared["options"].get("confirm", "publisher") == "publisher":
        return _confirmed(load, properties)
    connection = connect_rabbitmq(url_of(load))
    publish = connection.channel().basic_publish

    def send_all(bodies: Sequence[bytes]) -> None:
        for body in bodies:
            publish("", name, body, properties, True)

    count = produce_windows(send_all, load)
    connection.close()
    return count


def _confirmed(load: Load, properties: Any) -> Count:
    """Wait for a window of confirms, for which pika needs its asynchronous connection."""
    import pika

    waiting: set[int] = set()
    channels: list[Any] = []
    sent, name = 0, load.name
    loop: Any

    def on_confirm(frame: Any) -> None:
        tag = frame.method.delivery_tag
        if frame.method.multiple:
            waiting.difference_update([earlier for earlier in waiting if earlier <= tag])
        else:
            waiting.discard(tag)
        if not waiting:
            loop.stop()

    def on_open(opened: Any) -> None:
        opened.channel(on_open_callback=lambda c: c.confirm_delivery(on_confirm, lambda _: ready(c)))

    def ready(channel: Any) -> None:
        channels.append(channel)
        loop.stop()

    connection = pika.SelectConnection(
        parameters(url_of(load)), on_open, on_close_callback=lambda *_: loop.stop()
    )
    loop = connection.ioloop
    loop.start()
    publish = channels[0].basic_publish

    def send_all(bodies: Sequence[bytes]) -> None:
        nonlocal sent
        for body in bodies:
            publish("", name, body, properties, True)
            sent += 1
            waiting.add(sent)
        loop.start()

    count = produce_windows(send_all, load)
    connection.close()
    loop.start()
    return count


def rabbitmq_consumer(load: Load) -> Count:
    connection = connect_rabbitmq(url_of(load))
    channel, options, window = connection.channel(), load.shared["options"], load.window
    acknowledges = options.get("ack", "manual") == "manual"
    if acknowledges:
        channel.basic_qos(prefetch_count=options.get("prefetch", 100))
    arrived: list[bytes] = []
    tag = 0

    def on_message(_channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        nonlocal tag
        arrived.append(body)
        tag = method.delivery_tag

    channel.basic_consume(load.name, on_message, auto_ack=not acknowledges)

    def receive() -> list[bytes]:
        while not arrived:
            connection.process_data_events(None)
        batch = arrived[:window]
        del arrived[:window]
        if acknowledges:
            channel.basic_ack(tag - len(arrived), multiple=True)
        return batch

    count = consume_batches(receive, load)
    connection.close()
    return count


# --- memcached ------------------------------------------------------------------------------------------


def memcached_producer(load: Load) -> Count:
    from ipclab.backends.memcached.client import connect

    client, name, tail = connect(url_of(load)), load.name, f"{load.name}:tail"

    def send_all(bodies: Sequence[bytes]) -> None:
        first = client.incr(tail, len(bodies)) - len(bodies) + 1
        client.set_many({f"{name}:{n}": body for n, body in enumerate(bodies, first)})

    return produce_windows(send_all, load)


def memcached_consumer(load: Load) -> Count:
    from ipclab.backends.memcached.channels import FIRST_PAUSE_S
    from ipclab.backends.memcached.client import connect

    client, name, window = connect(url_of(load)), load.name, load.window
    head, tail = f"{load.name}:head", f"{load.name}:tail"
    most_s = load.shared["options"].get("max_pause_us", 2000) / 1e6

    def take() -> range:
        pause_s = FIRST_PAUSE_S
        while True:
            counters = client.gets_many([head, tail])
            first = int(counters[head][0]) + 1
            end = min(first + window, int(counters[tail][0]) + 1)
            if first == end:
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, most_s)
            elif client.cas(head, str(end - 1), counters[head][1]):
                return range(first, end)

    def receive() -> list[bytes]:
        slots, pause_s = [f"{name}:{ticket}" for ticket in take()], FIRST_PAUSE_S
        while len(found := client.get_many(slots)) < len(slots):
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, most_s)
        client.delete_many(slots, noreply=True)
        return [found[slot] for slot in slots]

    return consume_batches(receive, load)


WINDOWED: dict[str, Loops] = {
    "redis-list": (nothing, redis_producer("RPUSH", "{}"), redis_list_consumer, redis_teardown),
    "redis-list-reliable": (nothing, redis_producer("RPUSH", "{}"), redis_reliable_consumer, redis_teardown),
    "redis-stream": (
        redis_stream_setup,
        redis_producer("XADD", "{}", "*", "b"),
        redis_stream_consumer,
        redis_teardown,
    ),
    "redis-pubsub": (nothing, redis_producer("PUBLISH", "{}"), redis_pubsub_consumer, nothing),
    "rabbitmq": (rabbitmq_setup, rabbitmq_producer, rabbitmq_consumer, rabbitmq_teardown),
    "rabbitmq-quorum": (rabbitmq_setup, rabbitmq_producer, rabbitmq_consumer, rabbitmq_teardown),
    "memcached-ticket": (memcached_setup, memcached_producer, memcached_consumer, memcached_teardown),
}
"""The loops of every backend that a window means something to."""
