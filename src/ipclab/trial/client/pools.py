"""Faults of multiprocessing.Pool: it forgets the task of a worker that dies, and a callback can end it.

The workers are forked, however the program itself was started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import warnings
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.host.child import end_with_starter
from ipclab.host.start_methods import context
from ipclab.trial.client.bench import PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, hung, say
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import came_of

WORKERS = 2


class Failed(Exception):
    """What the callback raises."""


_FORK = context("fork")
_pids: Any = None


def _equip(pids: Any) -> None:
    """Set up a worker. A program that leaves by ``os._exit()``, as those of scenarios do, ends no pool."""
    global _pids
    end_with_starter()
    _pids = pids


def _stay() -> None:
    """Report which worker runs this task, and never end."""
    _pids.put(os.getpid())
    signal.pause()


def _work(number: int) -> int:
    return number


def _lose_a_worker_of_a_pool(parent: Connection, log: Path) -> None:
    # A Pool that replaces a worker forks while its threads run; Python 3.12 and later warn about that.
    warnings.simplefilter("ignore", DeprecationWarning)
    pids = _FORK.SimpleQueue()
    pool = _FORK.Pool(WORKERS, _equip, (pids,))
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("send", 1)
        lost = pool.apply_async(_stay)
        history.ok()
        say(parent, pids.get())
        parent.recv()
        history.invoke("send", 2)
        other = pool.apply_async(_work, (2,))
        history.ok()
        history.invoke("receive")
        history.ok(other.get(PATIENCE_S))
        say(parent, "the other task is done")
        history.invoke("receive")
        lost.get()


def _lose_a_worker_of_an_executor(parent: Connection, log: Path) -> str:
    """Return what the program was told of the task."""
    pids = _FORK.SimpleQueue()
    executor = ProcessPoolExecutor(WORKERS, _FORK, _equip, (pids,))
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("send", 1)
        lost = executor.submit(_stay)
        history.ok()
        say(parent, pids.get())
        parent.recv()
        history.invoke("receive")
        try:
            lost.result(PATIENCE_S)
        except BrokenProcessPool as error:
            history.info()
            told = type(error).__name__
        with ProcessPoolExecutor(WORKERS, _FORK, _equip, (pids,)) as another:
            history.invoke("send", 2)
            other = another.submit(_work, 2)
            history.ok()
            history.invoke("receive")
            history.ok(other.result(PATIENCE_S))
    say(parent, "the other task is done")
    return told


def _worker_killed(bench: Bench, *, right: bool) -> Seen:
    lose = _lose_a_worker_of_an_executor if right else _lose_a_worker_of_a_pool
    program = bench.start("program", lose, bench.log(PROGRAM), forks=True)
    pid = program.heard()
    with bench.fault("kill", "worker"):
        os.kill(pid, signal.SIGKILL)
        program.tell("killed")
        program.heard()
    stuck = hung(program, right=right)
    if right:
        finding = f"a busy worker was killed: result() raised {program.result()}; another executor went on"
    else:
        finding = f"a busy worker was killed: the pool did another task, get() {came_of(stuck, 'program')}"
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _call_back(parent: Connection, log: Path, right: bool) -> None:
    """Run a task whose callback fails, then another one."""
    called, ended = threading.Event(), threading.Event()
    thread = ""

    def fail(number: int) -> None:
        called.set()
        raise Failed(f"cannot take {number}")

    def fail_within(number: int) -> None:
        with contextlib.suppress(Failed):
            fail(number)

    def note(died: threading.ExceptHookArgs) -> None:
        nonlocal thread
        # The name is like "Thread-3 (_handle_results)"; its number means nothing.
        thread = died.thread.name.partition("(")[2].rstrip(")") if died.thread is not None else ""
        ended.set()

    threading.excepthook = note
    pool = _FORK.Pool(1, _equip, (None,))
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("send", 1)
        first = pool.apply_async(_work, (1,), callback=fail_within if right else fail)
        history.ok()
        (called if right else ended).wait(PATIENCE_S)
        history.invoke("send", 2)
        second = pool.apply_async(_work, (2,))
        history.ok()
        say(parent, thread)
        for result in (first, second) if right else (second,):
            history.invoke("receive")
            history.ok(result.get())


def _callback_raises(bench: Bench, *, right: bool) -> Seen:
    program = bench.start("program", _call_back, bench.log(PROGRAM), right, forks=True)
    thread = program.heard()
    stuck = hung(program, right=right)
    ended = f"and ended the thread of {thread}" if thread else "and its error was caught within"
    finding = f"a callback raised {ended}; get() of the next task {came_of(stuck, 'program')}"
    counts = {"threads_ended": 1 if thread else 0, "hung": len(stuck)}
    return Seen(finding=finding, counts=counts, produced=right or bool(thread), hung=stuck)


_pair = partial(pair, backend="queue", library="", model="delivery", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "pool-worker-killed",
        _worker_killed,
        asked="the result of a task, whose worker was killed",
        says="nothing: get() waits for ever",
        has="a new worker, and no process that knows of the task",
        default="Pool().apply_async(task).get()",
        right="ProcessPoolExecutor().submit(task).result(), and a new executor on BrokenProcessPool",
    ),
    *_pair(
        "pool-callback-raises",
        _callback_raises,
        asked="the result of a task, after the callback of another one has raised an error",
        says="nothing: get() waits for ever",
        has="no thread any more that receives results",
        default="apply_async(task, callback=callback)",
        right="apply_async(task, callback=a callback that catches its own errors)",
    ),
)
