"""Carries items to workers and back, over a queue for each direction, and measures how many in how long.

Items go out in bursts: the sender puts a burst and collects all results before the next one, so that no queue
grows without a bound. Every kind of worker and queue is measured by this same loop.
"""

from __future__ import annotations

import contextlib
import importlib
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any, assert_never

import numpy as np

from ipclab.errors import ChannelError
from ipclab.host.start_methods import StartMethod, context
from ipclab.trial.thread_facts import WORKERS, Case, ThreadFigures
from ipclab.trial.threads.cost import cpu_s, has_gil
from ipclab.trial.threads.worker import serve

ARRAY_ITEMS = 1 << 17
"""Numbers of 8 bytes in an array: 1 MiB."""
_BURSTS = {"bytes": 200, "arrays": 8, "cpu": 8, "waiting": 16}
_PAUSE_S = 20e-6


class Deque:
    """A ``collections.deque`` as a queue: its ``append`` and ``popleft`` need no lock, and a reader polls."""

    def __init__(self) -> None:
        self._items: deque[Any] = deque()
        self.put = self._items.append

    def get(self) -> Any:
        """Wait for an item and return it."""
        while True:
            try:
                return self._items.popleft()
            except IndexError:
                time.sleep(_PAUSE_S)


def measure(case: Case, seconds: float, start_method: StartMethod) -> ThreadFigures:
    """Return how many items went there and back. Raise ChannelError where a result is wrong."""
    jobs, done = _pair(case, start_method)
    workers = WORKERS[case.work]
    burst = _items(case)
    with _serving(case, jobs, done, workers, start_method):
        box = ["sent"]
        jobs.put(box)
        done.get()
        same_object = len(box) == 2
        _carry(jobs, done, burst)
        before_s, began_s = cpu_s(), time.perf_counter()
        rounds = 0
        while (took_s := time.perf_counter() - began_s) < seconds:
            got = _carry(jobs, done, burst)
            rounds += 1
            if len(got) != len(burst):
                raise ChannelError(f"{case.name}: {len(got)} results of {len(burst)} items")
        own_s = cpu_s() - before_s
    return ThreadFigures(
        way=case.way,
        where=case.where,
        work=case.work,
        gil=has_gil(),
        workers=workers,
        items=rounds * len(burst),
        seconds=took_s,
        cpu_s=own_s,
        same_object=same_object,
    )


def _carry(jobs: Any, done: Any, burst: list[Any]) -> list[Any]:
    for item in burst:
        jobs.put(item)
    return [done.get() for _ in burst]


def _items(case: Case) -> list[Any]:
    count = _BURSTS[case.work]
    if case.work == "bytes":
        return [bytes(64)] * count
    if case.work == "arrays":
        return [np.zeros(ARRAY_ITEMS)] * count
    return list(range(1, count + 1))


def _pair(case: Case, start_method: StartMethod) -> tuple[Any, Any]:
    """Return two empty queues of this way. Raise ChannelError for a way that does not exist here."""
    made: dict[str, Callable[[], Any]] = {
        "queue.Queue": queue.Queue,
        "queue.SimpleQueue": queue.SimpleQueue,
        "collections.deque": Deque,
        "multiprocessing.Queue": context(start_method).Queue,
        "multiprocessing.SimpleQueue": context(start_method).SimpleQueue,
        "concurrent.interpreters.Queue": _interpreter_queue,
    }
    if case.way not in made:
        raise ChannelError(f"there is no way {case.way}")
    return made[case.way](), made[case.way]()


def _interpreter_queue() -> Any:
    return _of_3_14("concurrent.interpreters", "create_queue")()


def _of_3_14(module: str, name: str) -> Any:
    """Return something of the standard library of Python 3.14. Raise ChannelError for an older one."""
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError):
        raise ChannelError("interpreters need Python 3.14") from None


@contextlib.contextmanager
def _serving(case: Case, jobs: Any, done: Any, workers: int, start_method: StartMethod) -> Iterator[None]:
    """Run the workers within the block, and wait for their end after it."""
    arguments = (jobs, done, case.work)
    match case.where:
        case "threads":
            started: list[Any] = [
                threading.Thread(target=serve, args=arguments, daemon=True) for _ in range(workers)
            ]
        case "processes":
            started = [
                context(start_method).Process(target=serve, args=arguments, daemon=True)
                for _ in range(workers)
            ]
        case "interpreters":
            with _interpreters(workers) as executor:
                ends = [executor.submit(serve, *arguments) for _ in range(workers)]
                yield
                for _ in range(workers):
                    jobs.put(None)
                for end in ends:
                    end.result()
            return
        case _:
            assert_never(case.where)
    for one in started:
        one.start()
    yield
    for _ in started:
        jobs.put(None)
    for one in started:
        one.join()


def _interpreters(workers: int) -> Executor:
    made: Executor = _of_3_14("concurrent.futures", "InterpreterPoolExecutor")(workers)
    return made
