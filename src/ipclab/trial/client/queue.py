"""Faults of multiprocessing.Queue, whose put() only hands the item to a thread that sends it later."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from queue import Empty
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, say
from ipclab.trial.client.scenario import Seen, pair

END = "end"
FILLER_BYTES = 1 << 20
"""More than a pipe holds, so that the feeder thread is busy with it until somebody reads."""
SLOW_S = 0.05
"""Seconds that it takes to pickle one item."""
SLOW, QUICK = 5, 200
LEFT_BEHIND = 1000


class Slow:
    """An item that takes time to pickle, and arrives as its number."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[Callable[[int], int], tuple[int]]:
        time.sleep(SLOW_S)
        return int, (self.number,)


def _put(history: ProcessLog, put: Callable[[Any], None], item: Any, value: Any) -> str:
    history.invoke("send", value)
    try:
        put(item)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        history.fail()
        return f"raised {type(error).__name__}"
    history.ok()
    return "returned"


def _finish(queue: Any) -> None:
    """Wait until all items that were put are in the pipe."""
    queue.close()
    queue.join_thread()


def _receive_all(parent: Connection, log: Path, queue: Any, right: bool) -> list[Any]:
    """Receive up to the item that marks the end; return what arrived."""
    came: list[Any] = []
    with ProcessLog(log, OTHER) as history:
        while True:
            history.invoke("receive")
            item = queue.get(timeout=PATIENCE_S)
            if right and isinstance(item, bytes):
                item = pickle.loads(item)
            if item == END:
                history.ok(None)
                return came
            item = f"{len(item)} bytes" if isinstance(item, bytes) else item
            history.ok(item)
            came.append(item)


def _put_unpicklable(
    parent: Connection, log: Path, errors: Path, queue: Any, right: bool
) -> tuple[str, list[str]]:
    """Put 1, a function that cannot be pickled as 2, and 3. Return what the program was told of 2, and what
    the feeder thread printed, which no caller is told."""
    with errors.open("w") as file:
        os.dup2(file.fileno(), 2)
    put = (lambda item: queue.put(pickle.dumps(item))) if right else queue.put
    with ProcessLog(log, PROGRAM) as history:
        _put(history, put, 1, 1)
        words = _put(history, put, lambda: None, 2)
        _put(history, put, 3, 3)
    queue.put(END)
    _finish(queue)
    return words, errors.read_text().splitlines()


def _unpicklable(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    errors = bench.folder / "stderr"
    program = bench.start("program", _put_unpicklable, bench.log(PROGRAM), errors, queue, right)
    words, printed = program.result()
    came = bench.start("other", _receive_all, bench.log(OTHER), queue, right).result()
    only = f", and the only word of it is on stderr: {printed[-1]}" if printed else ""
    finding = f"put() of an item that cannot be pickled {words}; of 3 items {_list(came)} arrived{only}"
    return Seen(finding=finding, counts={"arrived": len(came), "lines_on_stderr": len(printed)})


def _put_and_change(parent: Connection, log: Path, queue: Any, right: bool) -> None:
    put = (lambda item: queue.put(pickle.dumps(item))) if right else queue.put
    with ProcessLog(log, PROGRAM) as history:
        # Until this is read, all items behind it wait in the thread, as behind any backlog.
        filler = bytes(FILLER_BYTES)
        _put(history, put, filler, f"{len(filler)} bytes")
        item = ["as it was put"]
        _put(history, put, item, list(item))
        item[0] = "as it was changed afterwards"
    queue.put(END)
    say(parent, "changed")
    _finish(queue)


def _mutated(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    program = bench.start("program", _put_and_change, bench.log(PROGRAM), queue, right)
    program.heard()
    came = bench.start("other", _receive_all, bench.log(OTHER), queue, right).result()
    program.result()
    finding = f"a list was put and changed after put() had returned; it arrived {came[-1][0]}"
    return Seen(finding=finding, counts={"arrived": len(came)})


def _put_and_look(parent: Connection, log: Path, queue: Any, right: bool) -> tuple[int, int]:
    """Put an item and take one, repeatedly; count how often the queue seemed empty (quick and slow items)."""
    empty = [0, 0]
    with ProcessLog(log, PROGRAM) as history:
        for number in range(1, QUICK + SLOW + 1):
            slow = number > QUICK
            history.invoke("enqueue", number)
            queue.put(Slow(number) if slow else number)
            history.ok()
            if not right:
                history.invoke("dequeue")
                try:
                    history.ok(queue.get_nowait())
                    continue
                except Empty:
                    history.ok(None)
                    empty[slow] += 1
            history.invoke("dequeue")
            history.ok(queue.get(timeout=PATIENCE_S))
    return empty[False], empty[True]


def _false_empty(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    quick, slow = bench.start("program", _put_and_look, bench.log(PROGRAM), queue, right).result()
    how = f"get(timeout={PATIENCE_S:g})" if right else "get_nowait()"
    finding = (
        f"right after a put() {how} found the queue empty {quick} times of {QUICK}, "
        f"and {slow} times of {SLOW} where pickling takes {SLOW_S * 1e3:g} ms"
    )
    return Seen(finding=finding, counts={"empty": quick, "empty_slow": slow})


def _put_and_leave(parent: Connection, log: Path, queue: Any, right: bool) -> None:
    """Put many items, more than a pipe holds, and end by os._exit(), which waits for no thread."""
    item = "x" * 1000
    with ProcessLog(log, PROGRAM) as history:
        for number in range(LEFT_BEHIND):
            _put(history, queue.put, (number, item), number)
    say(parent, "all put")
    if right:
        _finish(queue)
    os._exit(0)


def _receive_until_gone(parent: Connection, log: Path, queue: Any) -> int:
    """Wait for the lab, then receive until the program is gone and the pipe is empty; return the count."""
    parent.recv()
    came = 0
    with ProcessLog(log, OTHER) as history:
        gone = False
        while True:
            history.invoke("receive")
            try:
                number, _ = queue.get(block=not gone, timeout=SLOW_S)
            except Empty:
                history.ok(None)
                if gone:
                    return came
                gone = parent.poll()
            else:
                history.ok(number)
                came += 1


def _left_behind(bench: Bench, *, right: bool) -> Seen:
    queue: Any = bench.site.context.Queue()
    bench.at_end(queue.close)
    other = bench.start("other", _receive_until_gone, bench.log(OTHER), queue)
    program = bench.start("program", _put_and_leave, bench.log(PROGRAM), queue, right)
    program.heard()
    if not right:
        # Nobody reads before it is gone: only what the pipe holds arrives.
        program.join()
    other.tell("read")
    program.join()
    other.tell("gone")
    came = other.result()
    finding = f"{LEFT_BEHIND} put() returned, then the process ended by os._exit(); {came} items arrived"
    return Seen(finding=finding, counts={"arrived": came, "gone": LEFT_BEHIND - came})


def _list(items: list[Any]) -> str:
    return " and ".join(str(item) for item in items) or "none"


_pair = partial(pair, backend="queue", library="", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "unpicklable",
        _unpicklable,
        model="delivery",
        asked="put() of an item that cannot be pickled",
        says="nothing; a traceback of another thread is on stderr",
        has="all but that item",
        default="queue.put(item)",
        right="queue.put(pickle.dumps(item))",
    ),
    *_pair(
        "mutated",
        _mutated,
        model="delivery",
        asked="put() of a list, which is changed when put() has returned",
        says="nothing",
        has="the list as it was changed afterwards",
        default="queue.put(item)",
        right="queue.put(pickle.dumps(item))",
    ),
    *_pair(
        "false-empty",
        _false_empty,
        model="queue",
        asked="get_nowait() right after put()",
        says="Empty",
        has="the item, which has not arrived yet",
        default="get_nowait()",
        right="get(timeout=…)",
    ),
    *_pair(
        "left-behind",
        _left_behind,
        model="delivery",
        asked=f"{LEFT_BEHIND} items are put(), and the process ends by os._exit()",
        says="nothing",
        has="only the items that the thread had sent",
        default="os._exit()",
        right="queue.close(), queue.join_thread(), os._exit()",
    ),
)
