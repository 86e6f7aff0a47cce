"""Faults of tasks in a Pool: an error that cannot be unpickled, a task that exits, tasks read ahead.

The workers are forked, however the program itself was started.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NoReturn

from ipclab.history.log import ProcessLog
from ipclab.host.child import end_with_starter
from ipclab.host.start_methods import context
from ipclab.host.text import line_of
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, hung, say
from ipclab.trial.client.moments import gone
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import came_of

AHEAD = 100
"""The number of items for imap()."""
EXIT_CODE = 3

_FORK = context("fork")
_pids: Any = None


class Unfit(Exception):
    """An error that is pickled with one argument, and needs two to be made again."""

    def __init__(self, what: str, number: int) -> None:
        super().__init__(what)
        self.number = number


def _equip(pids: Any) -> None:
    """Set up a worker. A program that leaves by ``os._exit()``, as those of scenarios do, ends no pool."""
    global _pids
    end_with_starter()
    _pids = pids


def _work(number: int) -> int:
    return number


def _raise_unfit() -> NoReturn:
    raise Unfit("cannot take", 1)


def _raise_fit() -> NoReturn:
    try:
        _raise_unfit()
    except Unfit as error:
        raise RuntimeError(line_of(error)) from None


def _fail_once(parent: Connection, log: Path, right: bool) -> str:
    """Run a task that raises, then another one; return what the program was told of the first."""
    ended, told = threading.Event(), ""

    def note(died: threading.ExceptHookArgs) -> None:
        ended.set()

    threading.excepthook = note
    pool = _FORK.Pool(1, _equip, (None,))
    with ProcessLog(log, PROGRAM) as history:
        first = pool.apply_async(_raise_fit if right else _raise_unfit)
        if right:
            try:
                first.get()
            except RuntimeError as error:
                told = line_of(error)
        else:
            ended.wait(PATIENCE_S)
        history.invoke("send", 2)
        second = pool.apply_async(_work, (2,))
        history.ok()
        say(parent, ended.is_set())
        history.invoke("receive")
        history.ok(second.get())
    return told


def _error_unpicklable(bench: Bench, *, right: bool) -> Seen:
    program = bench.start("program", _fail_once, bench.log(PROGRAM), right, forks=True)
    died = program.heard()
    stuck = hung(program, right=right)
    ended = "and ended the thread that takes in results" if died else "which get() raised as another one"
    finding = f"a task raised an error, {ended}; get() of the next task {came_of(stuck, 'program')}"
    counts = {"threads_ended": int(died), "hung": len(stuck)}
    return Seen(finding=finding, counts=counts, produced=right or died, hung=stuck)


def _exit() -> NoReturn:
    """Run a task that ends its worker, after it has reported which worker that is."""
    _pids.put(os.getpid())
    sys.exit(EXIT_CODE)


def _exit_within() -> NoReturn:
    try:
        _exit()
    except SystemExit as error:
        raise RuntimeError(f"the task wanted to exit with {error.code}") from None


def _exit_once(parent: Connection, log: Path, right: bool) -> str:
    """Run a task that exits, and another one; return what the program was told of the first."""
    pids = _FORK.SimpleQueue()
    pool = _FORK.Pool(1, _equip, (pids,))
    with ProcessLog(log, PROGRAM) as history:
        lost: Any = pool.apply_async(_exit_within if right else _exit)
        say(parent, pids.get())
        history.invoke("send", 2)
        other = pool.apply_async(_work, (2,))
        history.ok()
        history.invoke("receive")
        history.ok(other.get(PATIENCE_S))
        say(parent, "the other task is done")
        try:
            lost.get()
        except RuntimeError as error:
            return line_of(error)
    return "nothing"


def _task_exits(bench: Bench, *, right: bool) -> Seen:
    program = bench.start("program", _exit_once, bench.log(PROGRAM), right, forks=True)
    worker = program.heard()
    program.heard()
    if not right:
        bench.until(lambda: gone(worker), "the worker to be gone")
    stuck = hung(program, right=right)
    came = f"raised {program.result()}" if right else came_of(stuck, "program")
    finding = f"a task called sys.exit(): the pool did another task, get() of the first {came}"
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _read_and_stop(parent: Connection, log: Path, others_log: Path, right: bool) -> int:
    """Take one result of imap() and stop; return how many items had been handed over."""
    handed = 0
    read_all, permits = threading.Event(), threading.Semaphore(1)
    gate = _FORK.Semaphore(0)

    def source() -> Iterator[int]:
        """Yield the items; an item that is handed over is no longer in its source."""
        nonlocal handed
        with ProcessLog(others_log, OTHER) as others:
            for number in range(1, AHEAD + 1):
                if right:
                    permits.acquire()
                others.invoke("send", number)
                handed += 1
                others.ok()
                if right:
                    read_all.set()
                yield number
        read_all.set()

    pool = _FORK.Pool(1, _equip, (gate,))
    results = pool.imap(_gated, source())
    read_all.wait(PATIENCE_S)
    with ProcessLog(log, PROGRAM) as history:
        gate.release()
        history.invoke("receive")
        history.ok(next(results))
    return handed


def _gated(number: int) -> int:
    """Run a task that waits for a permit."""
    _pids.acquire()
    return number


def _reads_ahead(bench: Bench, *, right: bool) -> Seen:
    logs = bench.log(PROGRAM), bench.log(OTHER)
    handed = bench.start("program", _read_and_stop, *logs, right, forks=True).result()
    finding = f"when imap() gave its first result, {handed} of {AHEAD} items had been taken"
    return Seen(finding=finding, counts={"taken": handed})


_pair = partial(pair, backend="queue", library="", model="delivery", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "pool-error-unpicklable",
        _error_unpicklable,
        asked="the result of a task, after another one has raised an error that cannot be unpickled",
        says="nothing: get() waits for ever",
        has="no thread any more that receives results",
        default="apply_async(task)",
        right="apply_async(a task that raises only errors of Python's own)",
    ),
    *_pair(
        "pool-task-exits",
        _task_exits,
        asked="the result of a task that called sys.exit()",
        says="nothing: get() waits for ever",
        has="a new worker, and no process that knows of the task",
        default="apply_async(task)",
        right="apply_async(a task that catches SystemExit and raises another error)",
    ),
    *_pair(
        "pool-imap-reads-ahead",
        _reads_ahead,
        asked=f"one result of imap() over {AHEAD} items of an iterator",
        says="the first result",
        has="all items taken, and most of them not done",
        default="imap(task, items)",
        right="imap(task, items that wait for a permit each, given back with a result)",
    ),
)
