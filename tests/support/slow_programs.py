"""Programs that work or wait and are not stuck.

Run as ``python slow_programs.py NAME``: it prints a line when it waits, and ends with its parent.
"""

from __future__ import annotations

import asyncio
import ctypes
import multiprocessing
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from typing import Any

LONG_S = 600.0
_FORK = multiprocessing.get_context("fork")


def end_with_parent() -> None:
    """Let the system end this process with its parent."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def ready() -> None:
    """Tell the starter that the program waits now, or is about to."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()


def start(function: Any, *args: Any) -> Any:
    """Start a process that ends with this one."""
    process = _FORK.Process(target=_run, args=(function, *args))
    process.start()
    return process


def _run(function: Any, *args: Any) -> None:
    end_with_parent()
    function(*args)


def computes() -> None:
    """Compute in a loop."""
    ready()
    while True:
        sum(range(10000))


def sleeps_in_a_loop() -> None:
    """Sleep a little, again and again."""
    ready()
    while True:
        time.sleep(0.2)


def sleeps_long() -> None:
    """Sleep once, for long."""
    ready()
    time.sleep(LONG_S)


def consumer_of_a_slow_producer() -> None:
    """Wait in get() for a producer that sleeps."""
    items = _FORK.Queue()
    start(time.sleep, LONG_S)
    ready()
    items.get()


def polls_an_event() -> None:
    """Wait for an Event with a time limit, again and again."""
    event = _FORK.Event()
    ready()
    while not event.wait(0.1):
        pass


def joins_a_busy_child() -> None:
    """Wait for the end of a child that computes."""
    child = start(computes)
    child.join()


def thread_with_a_slow_lock() -> None:
    """Wait for a lock that a sleeping thread holds."""
    lock = threading.Lock()
    lock.acquire()
    threading.Thread(target=time.sleep, args=(LONG_S,), daemon=True).start()
    ready()
    lock.acquire()


def _hold(lock: Any, taken: Any) -> None:
    with lock:
        taken.set()
        time.sleep(LONG_S)


def lock_of_a_slow_process() -> None:
    """Wait for a lock of multiprocessing that a sleeping process holds."""
    lock, taken = _FORK.Lock(), _FORK.Event()
    start(_hold, lock, taken)
    taken.wait()
    ready()
    lock.acquire()


def pool_with_a_long_task() -> None:
    """Wait for the result of a task of a Pool that sleeps."""
    pool = _FORK.Pool(2, end_with_parent)
    result = pool.apply_async(time.sleep, (LONG_S,))
    ready()
    result.get()


def executor_with_a_long_task() -> None:
    """Wait for the result of a task of a ProcessPoolExecutor that sleeps."""
    with ProcessPoolExecutor(2, mp_context=_FORK, initializer=end_with_parent) as executor:
        result = executor.submit(time.sleep, LONG_S)
        ready()
        result.result()


def threads_with_a_long_task() -> None:
    """Wait for the result of a task of a ThreadPoolExecutor that sleeps."""
    with ThreadPoolExecutor(1) as executor:
        result = executor.submit(time.sleep, LONG_S)
        ready()
        result.result()


def serves_clients() -> None:
    """Wait for clients that do not come."""

    async def serve() -> None:
        server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
        ready()
        await server.serve_forever()

    asyncio.run(serve())


def accepts() -> None:
    """Wait in accept()."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        ready()
        server.accept()


def waits_for_a_program() -> None:
    """Wait for a program that sleeps."""
    with subprocess.Popen(["sleep", f"{LONG_S:g}"], preexec_fn=end_with_parent) as program:
        ready()
        program.wait()


def client_of_a_slow_server() -> None:
    """Wait for the answer of a server that sleeps."""
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.create_connection(server.getsockname()) as mine,
    ):
        theirs, _ = server.accept()
        start(_read_and_sleep, theirs)
        theirs.close()
        mine.sendall(b"ask")
        ready()
        mine.recv(10)


def _read_and_sleep(connection: socket.socket) -> None:
    connection.recv(3)
    time.sleep(LONG_S)


def writes_to_a_slow_reader() -> None:
    """Send more than a pipe holds to a reader that sleeps."""
    reader, writer = _FORK.Pipe(duplex=False)
    start(time.sleep, LONG_S)
    reader.close()
    ready()
    writer.send_bytes(bytes(1 << 20))


def threads_with_a_slow_producer() -> None:
    """Wait in get() of a queue of threads for a thread that sleeps between its items."""
    items: queue.Queue[int] = queue.Queue()

    def produce() -> None:
        while True:
            time.sleep(0.3)
            items.put(1)

    threading.Thread(target=produce, daemon=True).start()
    ready()
    while True:
        items.get()


def manager_with_a_slow_owner() -> None:
    """Wait for a lock of a Manager that a sleeping process holds."""
    manager = _FORK.Manager()
    lock, taken = manager.Lock(), _FORK.Event()
    start(_hold, lock, taken)
    taken.wait()
    ready()
    lock.acquire()


def reads_standard_input() -> None:
    """Wait for a line on standard input."""
    ready()
    sys.stdin.readline()


def waits_for_a_signal() -> None:
    """Wait for a signal."""
    ready()
    signal.pause()


PROGRAMS = [
    computes,
    sleeps_in_a_loop,
    sleeps_long,
    consumer_of_a_slow_producer,
    polls_an_event,
    joins_a_busy_child,
    thread_with_a_slow_lock,
    lock_of_a_slow_process,
    pool_with_a_long_task,
    executor_with_a_long_task,
    threads_with_a_long_task,
    serves_clients,
    accepts,
    waits_for_a_program,
    client_of_a_slow_server,
    writes_to_a_slow_reader,
    threads_with_a_slow_producer,
    manager_with_a_slow_owner,
    reads_standard_input,
    waits_for_a_signal,
]


if __name__ == "__main__":
    end_with_parent()
    os.nice(10)
    next(program for program in PROGRAMS if program.__name__ == sys.argv[1])()
