"""The plainest loops that a competent user would write by hand, to hold the lab's rate against.

One producer, one consumer, in processes of their own. Nothing is stamped, checked or logged: the consumer
counts what comes before a stop message. The client is called as the lab's adapters call it. Each backend has
a function that returns the producer's ``send`` and one that returns the consumer's ``receive``; the loops
around them are `produce()` and `consume()`, and where the backend wants something else around each message, a
loop of its own.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import plain_local
from plain_count import BLOCK, STOP, Count, Load, Loops, Side, consume, nothing, produce

from ipclab.backends.rabbitmq.connection import connect as connect_rabbitmq
from ipclab.backends.rabbitmq.connection import delete_queue
from ipclab.backends.redis.client import Pipeline
from ipclab.backends.redis.client import connect as connect_redis
from ipclab.host.start_methods import Context

# --- Redis ----------------------------------------------------------------------------------------------


def redis_teardown(load: Load) -> None:
    with connect_redis(url_of(load)) as client:
        client.unlink(load.name, f"{load.name}:mine")


def redis_command(load: Load, **settings: Any) -> Callable[..., Any]:
    """Return the client's plainest call, to which redis-py gives no type."""
    command: Callable[..., Any] = connect_redis(url_of(load), **settings).execute_command
    return command


def redis_list_producer(load: Load) -> Count:
    command, name = redis_command(load), load.name
    return produce(lambda body: command("RPUSH", name, body), load)


def redis_list_consumer(load: Load) -> Count:
    command, name = redis_command(load, reply_timeout_s=None), load.name
    return consume(lambda: command("BLPOP", name, 0)[1], load)


def redis_reliable_consumer(load: Load) -> Count:
    run, name, mine = Pipeline(connect_redis(url_of(load))).run, load.name, f"{load.name}:mine"
    move = [("BLMOVE", name, mine, "LEFT", "RIGHT", 0.5)]

    def receive() -> bytes:
        while (body := run(move)[0]) is None:
            pass
        run([("LREM", mine, 1, body)])
        return body  # type: ignore[no-any-return]

    return consume(receive, load)


def redis_stream_setup(load: Load, context: Context) -> None:
    with connect_redis(url_of(load)) as client:
        client.xgroup_create(load.name, "consumers", id="0", mkstream=True)


def redis_stream_producer(load: Load) -> Count:
    command, name = redis_command(load), load.name
    return produce(lambda body: command("XADD", name, "*", "b", body), load)


def redis_stream_consumer(load: Load) -> Count:
    run, name = Pipeline(connect_redis(url_of(load))).run, load.name
    read = [("XREADGROUP", "GROUP", "consumers", "me", "COUNT", 1, "BLOCK", 500, "STREAMS", name, ">")]

    def receive() -> bytes:
        while (answer := run(read)[0]) is None:
            pass
        ((_, [(entry, (_, body))]),) = answer
        run([("XACK", name, "consumers", entry), ("XDEL", name, entry)])
        return body  # type: ignore[no-any-return]

    return consume(receive, load)


def redis_pubsub_producer(load: Load) -> Count:
    command, name = redis_command(load), load.name
    return produce(lambda body: command("PUBLISH", name, body), load)


def redis_pubsub_consumer(load: Load) -> Count:
    pubsub = connect_redis(url_of(load), reply_timeout_s=None).pubsub()  # type: ignore[no-untyped-call]
    pubsub.subscribe(load.name)
    pubsub.parse_response(block=True)
    read = pubsub.parse_response
    return consume(lambda: read(block=True)[2], load)


# --- RabbitMQ -------------------------------------------------------------------------------------------


def rabbitmq_setup(load: Load, context: Context) -> None:
    kind = "quorum" if load.shared["backend"] == "rabbitmq-quorum" else "classic"
    with connect_rabbitmq(url_of(load)) as connection:
        connection.channel().queue_declare(load.name, durable=True, arguments={"x-queue-type": kind})


def rabbitmq_teardown(load: Load) -> None:
    delete_queue(url_of(load), load.name)


def rabbitmq_producer(load: Load) -> Count:
    import pika

    connection = connect_rabbitmq(url_of(load))
    channel, options, name = connection.channel(), load.shared["options"], load.name
    if options.get("confirm", "publisher") == "publisher":
        channel.confirm_delivery()
    mode = 1 if options.get("delivery") == "transient" else 2
    properties, publish = pika.BasicProperties(delivery_mode=mode), channel.basic_publish
    count = produce(lambda body: publish("", name, body, properties, True), load)
    connection.close()
    return count


def rabbitmq_consumer(load: Load) -> Count:
    connection = connect_rabbitmq(url_of(load))
    channel, options, seen = connection.channel(), load.shared["options"], load.seen
    acknowledges = options.get("ack", "manual") == "manual"
    if acknowledges:
        channel.basic_qos(prefetch_count=options.get("prefetch", 100))
    count, marks = 0, []

    def on_message(channel: Any, method: Any, _properties: Any, body: bytes) -> None:
        nonlocal count
        if acknowledges:
            channel.basic_ack(method.delivery_tag)
        if body == STOP:
            marks.append((count, time.perf_counter(), time.process_time()))
            if len(marks) == 2:
                channel.stop_consuming()
            return
        count += 1
        if not count % BLOCK:
            seen.value = count

    channel.basic_consume(load.name, on_message, auto_ack=not acknowledges)
    load.barrier.wait()
    channel.start_consuming()
    connection.close()
    (before, began, cpu_before), (after, ended, cpu_after) = marks
    return Count(after - before, ended - began, cpu_after - cpu_before)


# --- memcached ------------------------------------------------------------------------------------------


def memcached_setup(load: Load, context: Context) -> None:
    from ipclab.backends.memcached.client import connect

    client = connect(url_of(load))
    client.set(f"{load.name}:head", "0")
    client.set(f"{load.name}:tail", "0")
    client.close()


def memcached_teardown(load: Load) -> None:
    from ipclab.backends.memcached.client import connect

    client = connect(url_of(load))
    last = int(client.get(f"{load.name}:tail"))
    client.delete_many([f"{load.name}:{n}" for n in range(max(1, last - 5000), last + 1)])
    client.delete_many([f"{load.name}:head", f"{load.name}:tail"])
    client.close()


def memcached_producer(load: Load) -> Count:
    from ipclab.backends.memcached.client import connect

    client, name, tail = connect(url_of(load)), load.name, f"{load.name}:tail"
    return produce(lambda body: client.set(f"{name}:{client.incr(tail, 1)}", body), load)


def memcached_consumer(load: Load) -> Count:
    from ipclab.backends.memcached.channels import FIRST_PAUSE_S
    from ipclab.backends.memcached.client import connect

    client, name, head = connect(url_of(load)), load.name, f"{load.name}:head"
    most_s = load.shared["options"].get("max_pause_us", 2000) / 1e6

    def receive() -> bytes:
        slots, pause_s = [f"{name}:{client.incr(head, 1)}"], FIRST_PAUSE_S
        while not (found := client.get_many(slots)):
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, most_s)
        client.delete_many(slots, noreply=True)
        return found[slots[0]]  # type: ignore[no-any-return]

    return consume(receive, load)


def url_of(load: Load) -> str:
    """Return the broker's URL."""
    assert load.url is not None
    return load.url


LOOPS: dict[str, Loops] = {
    **plain_local.LOOPS,
    "redis-list": (nothing, redis_list_producer, redis_list_consumer, redis_teardown),
    "redis-list-reliable": (nothing, redis_list_producer, redis_reliable_consumer, redis_teardown),
    "redis-stream": (redis_stream_setup, redis_stream_producer, redis_stream_consumer, redis_teardown),
    "redis-pubsub": (nothing, redis_pubsub_producer, redis_pubsub_consumer, nothing),
    "rabbitmq": (rabbitmq_setup, rabbitmq_producer, rabbitmq_consumer, rabbitmq_teardown),
    "rabbitmq-quorum": (rabbitmq_setup, rabbitmq_producer, rabbitmq_consumer, rabbitmq_teardown),
    "memcached-ticket": (memcached_setup, memcached_producer, memcached_consumer, memcached_teardown),
}


def run(loops: Loops, load: Load, context: Context, timeout_s: float = 60) -> tuple[Count, Count]:
    """Run the loops of a backend once. Returns what the producer and what the consumer counted."""
    setup, producer, consumer, teardown = loops
    load.barrier = context.Barrier(2)
    load.seen = context.RawValue("q", 0)
    setup(load, context)
    # The manager itself stays with the parent; its proxies travel.
    manager = load.shared.pop("manager", None)
    ends = []
    processes = []
    try:
        for side in (consumer, producer):
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_side, args=(side, load, theirs), daemon=True)
            process.start()
            theirs.close()
            ends.append(ours)
            processes.append(process)
        counts = []
        for end in ends:
            if not end.poll(timeout_s):
                raise TimeoutError(
                    f"{load.shared['backend']}: the plain loop had not ended after {timeout_s:g} s"
                )
            counts.append(end.recv())
        for process in processes:
            process.join(5)
        return counts[1], counts[0]
    finally:
        for process in processes:
            if process.is_alive():
                process.kill()
            process.join()
        if manager is not None:
            load.shared["manager"] = manager
        teardown(load)


def _side(side: Side, load: Load, result: Connection) -> None:
    # As in the lab's workers: what was inherited by fork need not be looked at by the garbage collector.
    gc.freeze()
    result.send(side(load))
