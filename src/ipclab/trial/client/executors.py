"""Faults of ProcessPoolExecutor: a caller that waits for ever, and workers that outlive the program.

The workers are forked, except where a scenario says otherwise.
"""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import threading
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, wait
from concurrent.futures import TimeoutError as LateError
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil

from ipclab.history.log import ProcessLog
from ipclab.host import stacks
from ipclab.host.child import end_with_starter, stack_path
from ipclab.host.start_methods import context
from ipclab.trial.client.bench import PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, hung, say
from ipclab.trial.client.moments import errors_to, gone, leave_with_parent, sleeps, stops, unread
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.stack import place
from ipclab.trial.client.words import came_of

RESULT_BYTES = 1 << 20
"""More than a pipe holds, so that a worker blocks in the middle of it until the program reads."""
NO_ANSWER_S = 0.5
"""Seconds after which a program stops waiting for a result; that of a killed worker never comes."""
TASKS = 5
BETWEEN_LOOKS_S = 0.3
LIFE_TASKS = 2
"""Tasks after which a worker is replaced."""

_FORK, _SPAWN = context("fork"), context("spawn")
_gate: Any = None
_begun: Any = None


def _equip(gate: Any, begun: Any = None) -> None:
    """Set up a worker. A program that leaves by ``os._exit()``, as those of scenarios do, ends no pool."""
    global _gate, _begun
    end_with_starter()
    _gate, _begun = gate, begun


def _equip_spawned(gate: Any) -> None:
    global _gate
    end_with_starter("spawn")
    _gate = gate


def _large() -> bytes:
    """Run a task with a large result, which begins when something is in the pipe."""
    _begun.release()
    _gate.recv_bytes()
    return bytes(RESULT_BYTES)


def _gated(number: int) -> int:
    """Run a task that waits for the semaphore."""
    _gate.acquire()
    return number


def _work(number: int) -> int:
    return number


def _lose_a_sender(parent: Connection, log: Path, gate: Connection, right: bool) -> str:
    """Return what the program was told of a result, and of a task after it."""
    begun = _FORK.Semaphore(0)
    executor = ProcessPoolExecutor(1, _FORK, _equip, (gate, begun))
    worker = executor.submit(os.getpid).result()
    with ProcessLog(log, PROGRAM) as history:
        lost = executor.submit(_large)
        begun.acquire()
        say(parent, (os.getpid(), worker))
        parent.recv()
        if not right:
            lost.result()
            return "came"
        try:
            lost.result(NO_ANSWER_S)
            return "came"
        except LateError as error:
            told = type(error).__name__
        executor = ProcessPoolExecutor(1, _FORK, _equip, (gate,))
        history.invoke("send", 1)
        other = executor.submit(_work, 1)
        history.ok()
        history.invoke("receive")
        history.ok(other.result(PATIENCE_S))
    return told


def _sender_killed(bench: Bench, *, right: bool) -> Seen:
    gate, opener = bench.site.context.Pipe(duplex=False)
    bench.at_end(gate.close)
    bench.at_end(opener.close)
    program = bench.start("program", _lose_a_sender, bench.log(PROGRAM), gate, right, forks=True)
    pid, worker = program.heard()
    with bench.fault("pause", "program"):
        # A stopped program takes no result, so the worker blocks in the middle of sending one.
        program.stop()
        bench.until(lambda: stops(pid), "the program to stop")
        opener.send_bytes(b"go")
        bench.until(lambda: not unread(gate) and sleeps(worker), "the worker to be in its result")
        with bench.fault("kill", "worker"):
            os.kill(worker, signal.SIGKILL)
        program.resume()
    program.tell("killed")
    stuck = hung(program, right=right)
    ended = f"raised {program.result()}; another executor went on" if right else came_of(stuck, "program")
    finding = f"a worker was killed while it sent a result of {RESULT_BYTES >> 20} MiB: result() {ended}"
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _replace_a_worker(parent: Connection, log: Path, errors: Path, right: bool) -> list[int]:
    """Submit all tasks before the first one is done; the worker is replaced before the third."""
    # The resource tracker, which reports what the program leaves, writes there too.
    errors_to(errors)
    gate = _SPAWN.Semaphore(0)
    numbers = range(1, LIFE_TASKS + 2)
    with ProcessLog(log, PROGRAM) as history:
        if right:
            groups = [list(numbers[:LIFE_TASKS]), list(numbers[LIFE_TASKS:])]
            executors = [ProcessPoolExecutor(1, _SPAWN, _equip_spawned, (gate,)) for _ in groups]
        else:
            groups = [list(numbers)]
            executors = [
                ProcessPoolExecutor(1, _SPAWN, _equip_spawned, (gate,), max_tasks_per_child=LIFE_TASKS)
            ]
        asked: list[Future[int]] = []
        for executor, group in zip(executors, groups, strict=True):
            for number in group:
                history.invoke("send", number)
                asked.append(executor.submit(_gated, number))
                history.ok()
        for _ in numbers:
            gate.release()
        came: list[int] = []
        for future in asked:
            if len(came) == LIFE_TASKS:
                say(parent, os.getpid())
            history.invoke("receive")
            came.append(future.result())
            history.ok(came[-1])
    return came


def _tasks_per_child(bench: Bench, *, right: bool) -> Seen:
    places = bench.log(PROGRAM), bench.folder / "stderr"
    program = bench.start("program", _replace_a_worker, *places, right, forks=True)
    pid = program.heard()
    # A worker that is starting takes its time, which is no hang: what counts is that there is no worker.
    bench.until(lambda: program.ended_within(BETWEEN_LOOKS_S) or not _workers(pid), "the worker to end")
    if program.ended_within(BETWEEN_LOOKS_S) or _workers(pid):
        program.result()
        stuck = {}
    else:
        stuck = hung(program, right=right)
    finding = f"one worker did {LIFE_TASKS} of {LIFE_TASKS + 1} tasks; result() of the next one "
    return Seen(finding=finding + came_of(stuck, "program"), counts={"hung": len(stuck)}, hung=stuck)


def _workers(pid: int) -> int:
    """Return how many processes this one has spawned, without its resource tracker."""
    found = 0
    for process in psutil.Process(pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):
            ended = process.status() == psutil.STATUS_ZOMBIE
            found += not ended and "spawn_main" in " ".join(process.cmdline())
    return found


def _cancel_and_wait(parent: Connection, log: Path, right: bool) -> tuple[int, int]:
    """Return how many tasks were done, and how many were cancelled."""
    gate = _FORK.Semaphore(0)
    executor = ProcessPoolExecutor(1, _FORK, _equip, (gate,))
    with ProcessLog(log, PROGRAM) as history:
        asked = []
        for number in range(1, TASKS + 1):
            history.invoke("send", number)
            asked.append(executor.submit(_gated, number))
            # The task may still be cancelled.
            history.info()
        executor.shutdown(wait=False, cancel_futures=True)
        while not asked[-1].cancelled():
            threading.Event().wait(0.002)
        for _ in asked:
            gate.release()
        say(parent, "cancelled")
        wait([future for future in asked if not future.cancelled()] if right else asked)
        done = 0
        for future in asked:
            with contextlib.suppress(CancelledError):
                number = future.result()
                history.invoke("receive")
                history.ok(number)
                done += 1
    return done, len(asked) - done


def _cancelled(bench: Bench, *, right: bool) -> Seen:
    program = bench.start("program", _cancel_and_wait, bench.log(PROGRAM), right, forks=True)
    program.heard()
    stuck = hung(program, right=right)
    finding = (
        f"shutdown(cancel_futures=True) with {TASKS} tasks asked for; wait() {came_of(stuck, 'program')}"
    )
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _equip_watched(stack: Path, alive: Connection, right: bool) -> None:
    """Set up a worker that ends with the lab in any case, and writes its stack when the lab asks."""

    def leave() -> None:
        alive.poll(None)
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()
    # The file stays open as long as the worker lives.
    faulthandler.register(signal.SIGUSR1, stack.open("w"), all_threads=False, chain=True)
    if right:
        leave_with_parent()


def _have_a_worker(
    parent: Connection, log: Path, stack: Path, alive: Connection, labs: Connection, right: bool
) -> None:
    labs.close()
    executor = ProcessPoolExecutor(1, _FORK, _equip_watched, (stack, alive, right))
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("send", 1)
        asked = executor.submit(_work, 1)
        history.ok()
        history.invoke("receive")
        history.ok(asked.result())
    say(parent, executor.submit(os.getpid).result())
    parent.recv()


def _outlives(bench: Bench, *, right: bool) -> Seen:
    alive, labs = bench.site.context.Pipe(duplex=False)
    bench.at_end(alive.close)
    bench.at_end(labs.close)
    stack = stack_path(bench.folder, "worker")
    program = bench.start(
        "program", _have_a_worker, bench.log(PROGRAM), stack, alive, labs, right, forks=True
    )
    worker = psutil.Process(program.heard())
    with bench.fault("kill", "program"):
        program.kill()
    if right:
        bench.until(lambda: gone(worker.pid), "the worker to end with the program")
        stuck = {}
    else:
        bench.until(lambda: sleeps(worker.pid), "the worker to wait for a task")
        worker.send_signal(signal.SIGUSR1)
        bench.until(lambda: gone(worker.pid), "the worker to tell where it waits")
        stuck = {"worker": place(stacks.read(stack))}
    what = f"its worker waits for tasks in {stuck['worker']}" if stuck else "its worker ended as well"
    finding = f"a program that had an executor was killed: {what}"
    return Seen(finding=finding, counts={"outlived": len(stuck)}, hung=stuck)


_pair = partial(pair, backend="queue", library="", model="delivery", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "executor-worker-killed-sending",
        _sender_killed,
        asked="the result of a task, whose worker was killed while it sent that result",
        says="nothing: result() waits for ever, and so do later tasks",
        has="a thread that waits for the rest of a message",
        default="ProcessPoolExecutor().submit(task).result()",
        right="result(timeout), and a new executor on TimeoutError",
    ),
    *_pair(
        "executor-tasks-per-child",
        _tasks_per_child,
        asked=f"{LIFE_TASKS + 1} tasks at once of one worker, which is to be replaced after {LIFE_TASKS}",
        says="nothing: result() of the third one waits for ever",
        has="no worker: one that had ended counts as idle",
        default=f"ProcessPoolExecutor(1, max_tasks_per_child={LIFE_TASKS})",
        right=f"ProcessPoolExecutor(1), a new one after {LIFE_TASKS} tasks",
    ),
    *_pair(
        "executor-futures-cancelled",
        _cancelled,
        asked="wait() for all tasks of an executor, after shutdown(cancel_futures=True)",
        says="nothing: it waits for ever",
        has="cancelled tasks, of which wait() is not told",
        default="wait(futures)",
        right="wait([future for future in futures if not future.cancelled()])",
    ),
    *_pair(
        "executor-outlives-program",
        _outlives,
        asked="that the workers of an executor end when the program is killed",
        says="nothing: the worker waits for tasks for ever",
        has="a worker that holds the writing end of the pipe that it reads",
        default="ProcessPoolExecutor()",
        right="ProcessPoolExecutor(initializer=a thread: parent_process().join(), os._exit(1))",
    ),
)
