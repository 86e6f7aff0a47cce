"""Faults of waiting for a process, or for its work, that never ends."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.host.child import end_with_parent
from ipclab.host.start_methods import StartMethod, context
from ipclab.trial.client.bench import OTHER, PROGRAM, THIRD, Bench
from ipclab.trial.client.child import PATIENCE_S, hung, say
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import came_of

ITEM_BYTES = 1 << 20
"""More than a pipe holds (64 KiB), so that a process that has put it cannot end until somebody reads."""
ITEMS = 3


def _put_one(log: Path, queue: Any, told: Connection) -> None:
    """Put one item, report that, and end."""
    end_with_parent()
    with ProcessLog(log, OTHER) as history:
        history.invoke("send", 1)
        queue.put((1, bytes(ITEM_BYTES)))
        history.ok()
    told.send("put")


def _join_and_drain(
    parent: Connection, log: Path, others_log: Path, start_method: StartMethod, queue: Any, right: bool
) -> None:
    chosen = context(start_method)
    heard, told = chosen.Pipe(duplex=False)
    process = chosen.Process(target=_put_one, args=(others_log, queue, told), name="ipclab worker")
    process.start()
    told.close()
    # Waiting for a process that has not started yet must not count as a hang.
    say(parent, heard.recv())
    with ProcessLog(log, PROGRAM) as history:
        if not right:
            process.join()
        history.invoke("receive")
        number, _ = queue.get(timeout=PATIENCE_S)
        history.ok(number)
    process.join()


def _join_undrained(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    logs = bench.log(PROGRAM), bench.log(OTHER)
    program = bench.start(
        "program", _join_and_drain, *logs, bench.site.start_method, queue, right, forks=True
    )
    program.heard()
    bench.until(lambda: right or queue._reader.poll(), "the item to be in the pipe")
    stuck = hung(program, right=right)
    when = "after" if right else "before"
    finding = f"join() of a process that had put {ITEM_BYTES >> 20} MiB, {when} that was received, "
    return Seen(finding=finding + came_of(stuck, "program"), counts={"hung": len(stuck)}, hung=stuck)


def _put_and_join(parent: Connection, log: Path, queue: Any) -> None:
    with ProcessLog(log, PROGRAM) as history:
        for number in range(1, ITEMS + 1):
            history.invoke("send", number)
            queue.put(number)
            history.ok()
    say(parent, "put")
    queue.join()


def _take_one(parent: Connection, log: Path, queue: Any) -> None:
    """Receive an item, report which one, and stay busy with it."""
    with ProcessLog(log, OTHER) as history:
        history.invoke("receive")
        number = queue.get(timeout=PATIENCE_S)
        history.ok(number)
        say(parent, number)
        parent.recv()


def _take_the_rest(parent: Connection, log: Path, queue: Any, dropped: list[int]) -> int:
    """Put again the items that a dead process had taken, then do all items; return how many."""
    for number in dropped:
        queue.put(number)
        queue.task_done()
    count = ITEMS - 1 + len(dropped)
    with ProcessLog(log, THIRD) as history:
        for _ in range(count):
            history.invoke("receive")
            history.ok(queue.get(timeout=PATIENCE_S))
            queue.task_done()
    return count


def _task_not_done(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.JoinableQueue()
    bench.at_end(queue.close)
    program = bench.start("program", _put_and_join, bench.log(PROGRAM), queue)
    program.heard()
    other = bench.start("other", _take_one, bench.log(OTHER), queue)
    had = other.heard()
    with bench.fault("kill", "other program"):
        other.kill()
    third = bench.start("third", _take_the_rest, bench.log(THIRD), queue, [had] if right else [])
    done = third.result()
    stuck = hung(program, right=right)
    finding = (
        f"of {ITEMS} items one consumer took {had} and was killed, and another one did {done}; "
        f"join() of the queue {came_of(stuck, 'program')}"
    )
    return Seen(finding=finding, counts={"done": done, "hung": len(stuck)}, hung=stuck)


SCENARIOS = (
    *pair(
        "join-undrained",
        _join_undrained,
        backend="queue",
        library="",
        model="delivery",
        guarantee="exactly-once",
        asked="join() of a process that has put more into a Queue than a pipe holds",
        says="nothing: it waits for ever",
        has="a process that cannot end before its thread has handed over the rest",
        default="process.join(), queue.get()",
        right="queue.get(), process.join()",
    ),
    *pair(
        "task-not-done",
        _task_not_done,
        backend="joinable-queue",
        library="",
        model="delivery",
        guarantee="at-least-once",
        asked="join() of a JoinableQueue, one consumer of which is killed before task_done()",
        says="nothing: it waits for ever",
        has="a count that nobody lowers for the killed consumer",
        default="get(), task_done()",
        right="get(), tell which item, task_done(); for one that died: put(item), task_done()",
    ),
)
