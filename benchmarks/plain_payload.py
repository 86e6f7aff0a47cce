"""The plainest loops that send arrays, to hold the lab's rate against; see ``payload.py``.

The sender changes an array and sends it, and the receiver reads it once (``numpy.sum``), as any program does.
A ``Queue`` pickles later, in a thread, so its sender makes a new array for each message.
"""

from __future__ import annotations

import pickle
import struct
import time
from collections.abc import Callable
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
from plain_count import STOP, Count, Load, Loops, nothing
from plain_loops import redis_command, redis_teardown

from ipclab.host.shared_memory import unlink, untracked
from ipclab.host.start_methods import Context

DTYPE = np.dtype("float64")
Make = Callable[[Any], Any]
"""From an array to what is sent."""


def produce(send: Callable[[Any], object], encode: Make, load: Load) -> Count:
    """Send for the warm-up, then a stop message, then for the window, then a stop message."""
    array = np.random.default_rng(1).random(load.size_bytes // DTYPE.itemsize)
    seen, backlog, sent = load.seen, load.backlog, 0
    load.barrier.wait()
    for seconds in (load.warmup_s, load.duration_s):
        before, cpu, began = sent, time.process_time(), time.perf_counter()
        end = began + seconds
        while time.perf_counter() < end:
            array[0] = sent
            send(encode(array))
            sent += 1
            while backlog and sent - seen.value >= backlog:
                time.sleep(0.0005)
        count = Count(sent - before, time.perf_counter() - began, time.process_time() - cpu)
        send(STOP)
    return count


def consume(receive: Callable[[], Any], use: Callable[[Any], object], load: Load) -> Count:
    """Read what comes before the first stop message, and then what comes before the second, timed."""
    seen, count = load.seen, 0
    load.barrier.wait()
    for _ in range(2):
        before, cpu, began = count, time.process_time(), time.perf_counter()
        while True:
            message = receive()
            if message.__class__ is bytes and message == STOP:
                break
            use(message)
            count += 1
            seen.value = count
    return Count(count - before, time.perf_counter() - began, time.process_time() - cpu)


def read(array: Any) -> float:
    """Read an array once."""
    return float(array.sum())


def pickle5(array: Any) -> bytes:
    """Return the pickle and, beside it, the data of the array."""
    buffers: list[pickle.PickleBuffer] = []
    head = pickle.dumps(array, 5, buffer_callback=buffers.append)
    return b"".join((struct.pack("<I", len(head)), head, *(buffer.raw() for buffer in buffers)))


def read_pickle5(body: bytes) -> float:
    """Read the array in such a message."""
    whole = memoryview(body)
    (length,) = struct.unpack_from("<I", whole)
    return read(pickle.loads(whole[4 : 4 + length], buffers=[whole[4 + length :]]))


def shared(load: Load) -> Make:
    """Return a function that copies an array into a new segment and returns its name."""
    count = 0

    def share(array: Any) -> str:
        nonlocal count
        count += 1
        segment = untracked(f"{load.shared['segments']}{count}", array.nbytes)
        np.frombuffer(_memory(segment), array.dtype)[:] = array
        segment.close()
        return segment.name

    return share


def read_shared(name: str) -> None:
    """Read the array in this segment, and unlink it."""
    segment = untracked(name)
    read(np.frombuffer(_memory(segment), DTYPE))
    unlink(segment)
    segment.close()


def _memory(segment: SharedMemory) -> memoryview:
    memory = segment.buf
    assert memory is not None
    return memory


def queue_setup(load: Load, context: Context) -> None:
    load.shared["queue"] = context.Queue()


def queue_producer(load: Load) -> Count:
    return produce(load.shared["queue"].put, lambda array: array.copy(), load)


def queue_consumer(load: Load) -> Count:
    return consume(load.shared["queue"].get, read, load)


def shm_producer(load: Load) -> Count:
    return produce(load.shared["queue"].put, shared(load), load)


def shm_consumer(load: Load) -> Count:
    return consume(load.shared["queue"].get, read_shared, load)


def pipe_setup(load: Load, context: Context) -> None:
    load.shared["ends"] = context.Pipe(duplex=False)


def pipe_producer(load: Load) -> Count:
    return produce(load.shared["ends"][1].send_bytes, pickle5, load)


def pipe_consumer(load: Load) -> Count:
    return consume(load.shared["ends"][0].recv_bytes, read_pickle5, load)


def redis_producer(load: Load) -> Count:
    command, name = redis_command(load), load.name
    return produce(lambda body: command("RPUSH", name, body), pickle.dumps, load)


def redis_consumer(load: Load) -> Count:
    command, name = redis_command(load, reply_timeout_s=None), load.name
    return consume(lambda: command("BLPOP", name, 0)[1], lambda body: read(pickle.loads(body)), load)


LOOPS: dict[tuple[str, str], Loops] = {
    ("queue", ""): (queue_setup, queue_producer, queue_consumer, nothing),
    ("queue", "shm"): (queue_setup, shm_producer, shm_consumer, nothing),
    ("pipe", "pickle5"): (pipe_setup, pipe_producer, pipe_consumer, nothing),
    ("redis-list", "pickle"): (nothing, redis_producer, redis_consumer, redis_teardown),
}
"""By backend and codec; none for a queue that takes the array itself."""
