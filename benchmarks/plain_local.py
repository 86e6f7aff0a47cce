"""The plainest loops over multiprocessing's pipes, queues and managers; see ``plain_loops.py``."""

from __future__ import annotations

import time

from plain_count import (
    BLOCK,
    STOP,
    Count,
    Load,
    Loops,
    Receive,
    consume,
    consume_unbounded,
    nothing,
    produce,
)

from ipclab.backends.manager.channels import FIRST_WAIT_S, LONGEST_WAIT_S
from ipclab.host.start_methods import Context


def pipe_setup(load: Load, context: Context) -> None:
    load.backlog = None
    load.shared["ends"] = context.Pipe(duplex=False)


def pipe_producer(load: Load) -> Count:
    return produce(load.shared["ends"][1].send_bytes, load)


def pipe_consumer(load: Load) -> Count:
    return consume_unbounded(load.shared["ends"][0].recv_bytes, load)


def locked_pipe_setup(load: Load, context: Context) -> None:
    pipe_setup(load, context)
    load.shared["locks"] = (context.Lock(), context.Lock())


def locked_pipe_producer(load: Load) -> Count:
    send_bytes, lock = load.shared["ends"][1].send_bytes, load.shared["locks"][1]

    def send(body: bytes) -> None:
        with lock:
            send_bytes(body)

    return produce(send, load)


def locked_pipe_consumer(load: Load) -> Count:
    """Run `consume_unbounded()` with the lock within the loop."""
    recv_bytes, lock = load.shared["ends"][0].recv_bytes, load.shared["locks"][0]
    load.barrier.wait()
    for _ in range(2):
        count, cpu, began = 0, time.process_time(), time.perf_counter()
        while True:
            with lock:
                body = recv_bytes()
            if body == STOP:
                break
            count += 1
    return Count(count, time.perf_counter() - began, time.process_time() - cpu)


def queue_setup(load: Load, context: Context) -> None:
    load.shared["queue"] = context.Queue()


def simple_queue_setup(load: Load, context: Context) -> None:
    load.backlog = None
    load.shared["queue"] = context.SimpleQueue()


def joinable_queue_setup(load: Load, context: Context) -> None:
    load.shared["queue"] = context.JoinableQueue()


def queue_producer(load: Load) -> Count:
    return produce(load.shared["queue"].put, load)


def queue_consumer(load: Load) -> Count:
    return consume(load.shared["queue"].get, load)


def simple_queue_consumer(load: Load) -> Count:
    return consume_unbounded(load.shared["queue"].get, load)


def joinable_queue_consumer(load: Load) -> Count:
    """Run `consume()` with the acknowledgement within the loop."""
    get, task_done, seen, count = load.shared["queue"].get, load.shared["queue"].task_done, load.seen, 0
    load.barrier.wait()
    for _ in range(2):
        before, cpu, began = count, time.process_time(), time.perf_counter()
        while get() != STOP:
            count += 1
            if not count % BLOCK:
                seen.value = count
            task_done()
        task_done()
    return Count(count - before, time.perf_counter() - began, time.process_time() - cpu)


def manager_setup(load: Load, context: Context) -> None:
    manager = context.Manager()
    load.shared.update(manager=manager, queue=manager.Queue(), list=manager.list(), dict=manager.dict())


def manager_teardown(load: Load) -> None:
    load.shared.pop("manager").shutdown()


def poll(take: Receive) -> bytes:
    """Take as soon as there is something, with the pauses of the lab's adapter."""
    wait_s = FIRST_WAIT_S
    while True:
        try:
            return take()
        except LookupError:
            time.sleep(wait_s)
            wait_s = min(2 * wait_s, LONGEST_WAIT_S)


def manager_list_producer(load: Load) -> Count:
    return produce(load.shared["list"].append, load)


def manager_list_consumer(load: Load) -> Count:
    messages = load.shared["list"]
    return consume(lambda: poll(lambda: messages.pop(0)), load)


def manager_dict_producer(load: Load) -> Count:
    mailbox, key = load.shared["dict"], 0

    def send(body: bytes) -> None:
        nonlocal key
        mailbox[key] = body
        key += 1

    return produce(send, load)


def manager_dict_consumer(load: Load) -> Count:
    mailbox = load.shared["dict"]
    return consume(lambda: poll(lambda: mailbox.popitem()[1]), load)


LOOPS: dict[str, Loops] = {
    "pipe": (pipe_setup, pipe_producer, pipe_consumer, nothing),
    "pipe-locked": (
        locked_pipe_setup,
        locked_pipe_producer,
        locked_pipe_consumer,
        nothing,
    ),
    "simple-queue": (
        simple_queue_setup,
        queue_producer,
        simple_queue_consumer,
        nothing,
    ),
    "queue": (queue_setup, queue_producer, queue_consumer, nothing),
    "joinable-queue": (
        joinable_queue_setup,
        queue_producer,
        joinable_queue_consumer,
        nothing,
    ),
    "manager-queue": (
        manager_setup,
        queue_producer,
        queue_consumer,
        manager_teardown,
    ),
    "manager-list": (
        manager_setup,
        manager_list_producer,
        manager_list_consumer,
        manager_teardown,
    ),
    "manager-dict": (
        manager_setup,
        manager_dict_producer,
        manager_dict_consumer,
        manager_teardown,
    ),
}
