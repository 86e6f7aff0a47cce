"""Increments a number that threads or processes share, and looks at what it is afterwards."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, assert_never

from ipclab.host.start_methods import StartMethod, context
from ipclab.trial.thread_facts import WORKERS, Case, ThreadFigures, Where
from ipclab.trial.threads.cost import cpu_s, has_gil
from ipclab.trial.threads.worker import same

EACH: Mapping[Where, int] = {"threads": 400_000, "processes": 30_000}
"""The increments of each worker. A thread may keep the GIL for 5 ms at a time
(``sys.getswitchinterval()``), so it must run for several times as long; a process that waits for a lock is
slower."""


@dataclass
class Box:
    """An object with the shared number, under the name that ``multiprocessing.Value`` has for it."""

    value: int = 0


def count(case: Case, start_method: StartMethod) -> ThreadFigures:
    """Return what a number is after every worker has incremented it as often as ``EACH`` says."""
    workers = WORKERS[case.work]
    made = context(start_method)
    shared: Any
    lock: Any
    gate: Any
    match case.where:
        case "threads":
            shared, lock, gate = Box(), threading.Lock(), threading.Barrier(workers + 1)
            start: Callable[..., Any] = threading.Thread
        case "processes":
            shared, lock, gate = made.RawValue(ctypes.c_longlong, 0), made.Lock(), made.Barrier(workers + 1)
            start = made.Process
        case "interpreters":
            raise ValueError("interpreters share no number")
        case _:
            assert_never(case.where)
    times_s = made.RawArray(ctypes.c_double, 2 * workers)
    each = EACH[case.where]
    arguments = (shared, lock, gate, case.work, each, times_s)
    started = [start(target=increment, args=(*arguments, place), daemon=True) for place in range(workers)]
    for one in started:
        one.start()
    before_s = cpu_s()
    gate.wait()
    gate.wait()
    spent_s = cpu_s() - before_s
    for one in started:
        one.join()
    began_s, ended_s = min(times_s[:workers]), max(times_s[workers:])
    return ThreadFigures(
        way=case.way,
        where=case.where,
        work=case.work,
        gil=has_gil(),
        workers=workers,
        items=workers * each,
        seconds=ended_s - began_s,
        cpu_s=spent_s,
        counted=shared.value,
    )


def increment(shared: Any, lock: Any, gate: Any, work: str, each: int, times_s: Any, place: int) -> None:
    """Increment the number, all workers at once; enter the times of the begin and the end."""
    gate.wait()
    times_s[place] = time.perf_counter()
    match work:
        case "n += 1":
            for _ in range(each):
                shared.value += 1
        case "n = f(n) + 1":
            for _ in range(each):
                shared.value = same(shared.value) + 1
        case _:
            for _ in range(each):
                with lock:
                    shared.value += 1
    times_s[len(times_s) // 2 + place] = time.perf_counter()
    gate.wait()
