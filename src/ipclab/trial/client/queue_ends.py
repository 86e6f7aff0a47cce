"""Faults of multiprocessing.Queue at its ends: a time-out without effect, and items dropped at the end."""

from __future__ import annotations

import pickle
import queue as queues
import select
import signal
import sys
import threading
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.host.child import end_with_starter
from ipclab.host.start_methods import StartMethod, context
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, hung, say
from ipclab.trial.client.moments import errors_to
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import came_of

LARGE_BYTES = 1 << 20
"""More than a pipe holds, so that its sender blocks in the middle of it until somebody reads."""
TIMEOUT_S = 0.2
"""The time-out of the get()."""
DROPPED = 300
ITEM = "x" * 1000


def _put_large(parent: Connection, log: Path, queue: Any) -> None:
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("send", 1)
        queue.put((1, bytes(LARGE_BYTES)))
        history.ok()
    queue.close()
    queue.join_thread()


def _get_in_time(parent: Connection, log: Path, queue: Any, right: bool) -> str:
    """Return the outcome of a get() with a time-out; with ``right`` another thread may wait for ever."""
    local: queues.SimpleQueue[Any] = queues.SimpleQueue()
    if right:
        threading.Thread(target=lambda: local.put(queue.get()), daemon=True).start()
    with ProcessLog(log, OTHER) as history:
        say(parent, "asks")
        history.invoke("receive")
        try:
            number, _ = (local if right else queue).get(timeout=TIMEOUT_S)
            history.ok(number)
            return "returned the item"
        except queues.Empty:
            history.ok(None)
        say(parent, "raised Empty")
        history.invoke("receive")
        number, _ = local.get(timeout=PATIENCE_S)
        history.ok(number)
    return "raised Empty, and the item came later"


def _get_timeout(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    program = bench.start("program", _put_large, bench.log(PROGRAM), queue)
    bench.until(lambda: not select.select([], [queue._writer], [], 0)[1], "the pipe to be full")
    with bench.fault("pause", "program"):
        program.stop()
        other = bench.start("other", _get_in_time, bench.log(OTHER), queue, right)
        other.heard()
        stuck: dict[str, str] = {}
        if right:
            other.heard()
        else:
            stuck = hung(other, right=False)
        program.resume()
    came = other.result() if right else came_of(stuck, "other")
    finding = f"a producer was stopped in the middle of an item: get(timeout={TIMEOUT_S}) {came}"
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _put_and_end(start_method: StartMethod, log: Path, queue: Any, right: bool) -> None:
    end_with_starter(start_method)
    with ProcessLog(log, OTHER) as history:
        for number in range(DROPPED):
            history.invoke("send", number)
            queue.put((number, ITEM))
            history.ok()
    if not right:
        queue.cancel_join_thread()


def _start_and_receive(
    parent: Connection, log: Path, others_log: Path, start_method: StartMethod, queue: Any, right: bool
) -> int:
    """Start a process that puts items, and receive them: after its end, or with ``right`` before it."""
    process = context(start_method).Process(
        target=_put_and_end, args=(start_method, others_log, queue, right), name="ipclab worker"
    )
    process.start()
    came = 0
    if not right:
        process.join()
    with ProcessLog(log, PROGRAM) as history:
        while came < DROPPED:
            history.invoke("receive")
            try:
                # No item is cut in its middle: each is small, so it is written in one piece.
                number, _ = queue.get(timeout=PATIENCE_S) if right else queue.get_nowait()
            except queues.Empty:
                history.ok(None)
                break
            history.ok(number)
            came += 1
    process.join()
    return came


def _join_cancelled(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    logs, method = (bench.log(PROGRAM), bench.log(OTHER)), bench.site.start_method
    came = bench.start("program", _start_and_receive, *logs, method, queue, right, forks=True).result()
    finding = f"a process put {DROPPED} items and ended in good order; {came} arrived"
    return Seen(finding=finding, counts={"arrived": came, "gone": DROPPED - came})


def _put_in_handler(parent: Connection, log: Path, queue: Any, right: bool) -> None:
    """Put items; while the second put() holds the queue's lock, a signal comes whose handler puts."""
    late: list[int] = []
    armed = False

    def handle(_signal: int, _frame: FrameType | None) -> None:
        say(parent, "in the handler")
        if right:
            late.append(3)
        else:
            queue.put(3)

    def at_notify(frame: FrameType, event: str, _argument: object) -> None:
        nonlocal armed
        # This is the last call of put() under its lock. A signal may arrive at any place.
        if armed and event == "call" and frame.f_code.co_name == "notify":
            armed = False
            signal.raise_signal(signal.SIGALRM)

    signal.signal(signal.SIGALRM, handle)
    with ProcessLog(log, PROGRAM) as history:
        for number in (1, 2):
            history.invoke("send", number)
            if number == 2:
                armed = True
                sys.setprofile(at_notify)
            queue.put(number)
            sys.setprofile(None)
            history.ok()
        for number in late:
            history.invoke("send", number)
            queue.put(number)
            history.ok()
    queue.close()
    queue.join_thread()


def _receive(parent: Connection, log: Path, queue: Any, count: int) -> int:
    with ProcessLog(log, OTHER) as history:
        for _ in range(count):
            history.invoke("receive")
            history.ok(queue.get(timeout=PATIENCE_S))
    return count


def _handler_puts(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    program = bench.start("program", _put_in_handler, bench.log(PROGRAM), queue, right)
    program.heard()
    stuck = hung(program, right=right)
    if not stuck:
        bench.start("other", _receive, bench.log(OTHER), queue, 3).result()
    finding = "a signal came while put() held its lock, and its handler had an item to put: put() "
    return Seen(finding=finding + came_of(stuck, "program"), counts={"hung": len(stuck)}, hung=stuck)


def _put_unpicklable(parent: Connection, log: Path, errors: Path, queue: Any, right: bool) -> str:
    """Put a function that cannot be pickled and wait until all is done; return the outcome of put()."""
    errors_to(errors)
    words = "returned"
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("send", 1)
        try:
            queue.put(pickle.dumps(lambda: None) if right else lambda: None)
            history.ok()
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            words = f"raised {type(error).__name__}"
            history.fail()
    while queue._buffer:
        # Wait until the thread has taken the item, which it can only drop.
        time.sleep(0.002)
    say(parent, words)
    queue.join()
    return words


def _joinable(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.JoinableQueue()
    bench.at_end(queue.close)
    errors = bench.folder / "stderr"
    program = bench.start("program", _put_unpicklable, bench.log(PROGRAM), errors, queue, right)
    words = program.heard()
    stuck = hung(program, right=right)
    finding = f"put() of an item that cannot be pickled {words}; join() {came_of(stuck, 'program')}"
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


_pair = partial(pair, library="", model="delivery", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "get-timeout",
        _get_timeout,
        backend="queue",
        asked=f"get(timeout={TIMEOUT_S}), while the producer stands still in the middle of an item",
        says="nothing: it waits for the rest, for ever",
        has="the first part of the item; the time-out bounds only the wait for that",
        default="queue.get(timeout=…)",
        right="a thread: local.put(queue.get()); local.get(timeout=…)",
    ),
    *_pair(
        "join-thread-cancelled",
        _join_cancelled,
        backend="queue",
        asked=f"{DROPPED} items are put(), and the process ends in good order after cancel_join_thread()",
        says="nothing",
        has="only the items that the thread had sent",
        default="queue.cancel_join_thread()",
        right="no cancel_join_thread(): the process ends when somebody has received the items",
    ),
    *_pair(
        "handler-puts",
        _handler_puts,
        backend="queue",
        asked="put() in the handler of a signal, which comes while put() holds its lock",
        says="nothing: it waits for ever",
        has="a lock whose owner waits for it",
        default="signal.signal(number, a handler that puts)",
        right="signal.signal(number, a handler that notes it); the program puts",
    ),
    *_pair(
        "joinable-unpicklable",
        _joinable,
        backend="joinable-queue",
        asked="join() of a JoinableQueue, after put() of an item that cannot be pickled",
        says="nothing: it waits for ever",
        has="a count of an item that nobody can receive",
        default="queue.put(item)",
        right="queue.put(pickle.dumps(item))",
    ),
)
