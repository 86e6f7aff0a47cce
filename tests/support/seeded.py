"""Objects with one seeded error each, used by threads that log what they do, as real workers do.

The error strikes once, at a call whose number is fixed, so that it is there on every run however the threads
interleave.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ipclab.history import Header, History, ProcessLog, merge, read
from ipclab.history.format import Model

STRIKE = 7
EACH = 20
SECOND = 1000
"""The first value of the second producer."""
Job = Callable[[ProcessLog], None]


class Queue:
    """A FIFO queue. ``error``: drop, duplicate, swap, corrupt, damage, phantom, false empty, or none."""

    def __init__(self, error: str = "") -> None:
        self._error, self._lock = error, threading.Lock()
        self._inside: list[Any] = []
        self._puts = self._takes = 0
        self._kept: dict[int, Any] = {}

    def put(self, value: Any) -> None:
        with self._lock:
            self._puts += 1
            if self._error == "drop" and self._puts == STRIKE:
                return
            self._inside.append(value)

    def take(self) -> Any:
        with self._lock:
            self._takes += 1
            if threading.get_ident() in self._kept:
                return self._kept.pop(threading.get_ident())
            if not self._inside or (self._error == "false empty" and self._takes == STRIKE):
                return None
            if self._takes != STRIKE:
                return self._inside.pop(0)
            if self._error == "duplicate":
                return self._inside[0]
            if self._error == "swap":
                # The last one, which went in after all others of its producer; the first of these is kept for
                # the same taker, since somebody else need not see that they are swapped.
                last = self._inside.pop()
                first = next(value for value in self._inside if value // SECOND == last // SECOND)
                self._inside.remove(first)
                self._kept[threading.get_ident()] = first
                return last
            value = self._inside.pop(0)
            replaced = {"corrupt": f"{value}?", "damage": {"corrupted": value}, "phantom": -1}
            return replaced.get(self._error, value)


class Register:
    """A register with compare and set. ``error``: stale read, lost update (a cas that does not compare)."""

    def __init__(self, error: str = "") -> None:
        self._error, self._lock = error, threading.Lock()
        self._value: Any = None
        self._before: Any = None
        self._calls = 0

    def write(self, value: Any) -> None:
        with self._lock:
            self._before, self._value = self._value, value

    def read(self) -> Any:
        with self._lock:
            self._calls += 1
            return self._before if self._error == "stale read" and self._calls == STRIKE else self._value

    def cas(self, old: Any, new: Any) -> bool:
        with self._lock:
            if self._value != old and self._error != "lost update":
                return False
            self._before, self._value = self._value, new
            return True


class Counter:
    """A counter. ``error``: lost update, phantom."""

    def __init__(self, error: str = "") -> None:
        self._error, self._lock = error, threading.Lock()
        self._value = self._calls = 0

    def add(self, amount: int) -> None:
        with self._lock:
            self._calls += 1
            if self._calls == STRIKE:
                amount = {"lost update": 0, "phantom": amount + 1}.get(self._error, amount)
            self._value += amount

    def read(self) -> int:
        with self._lock:
            return self._value


class Lock:
    """A lock with fencing tokens. ``error``: two holders, stuck token."""

    def __init__(self, error: str = "") -> None:
        self._error, self._lock = error, threading.Lock()
        self._held = False
        self._token = 0

    def acquire(self) -> int | None:
        with self._lock:
            if self._held and self._error != "two holders":
                return None
            self._held = True
            if self._error != "stuck token" or self._token < STRIKE:
                self._token += 1
            return self._token

    def release(self) -> None:
        with self._lock:
            self._held = False


def run(folder: Path, header: Header, *phases: list[Job]) -> History:
    """Run the jobs of each phase at once, in threads with a log each, and read the merged history back."""
    logs: list[Path] = []
    for jobs in phases:
        threads = []
        for job in jobs:
            path = folder / f"{len(logs)}.jsonl"
            threads.append(threading.Thread(target=_logged, args=(path, len(logs), job)))
            logs.append(path)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    merge(folder / "history.jsonl.gz", header, logs)
    return read(folder / "history.jsonl.gz")


def _logged(path: Path, process: int, job: Job) -> None:
    with ProcessLog(path, process) as log:
        job(log)


def through_queue(folder: Path, error: str, model: Model = "queue") -> History:
    """Run two producers, then two consumers until both find it empty twice."""
    queue = Queue(error)
    puts, takes = ("enqueue", "dequeue") if model == "queue" else ("send", "receive")

    def producer(first: int) -> Job:
        def job(log: ProcessLog) -> None:
            for value in range(first, first + EACH):
                log.invoke(puts, value)
                queue.put(value)
                log.ok()

        return job

    def consumer(log: ProcessLog) -> None:
        empty = 0
        while empty < 2:
            log.invoke(takes)
            value = queue.take()
            log.ok(value)
            empty += value is None

    header = Header(ipclab_history=1, model=model, backend=f"seeded: {error}", ordered=model == "delivery")
    return run(folder, header, [producer(0), producer(SECOND)], [consumer, consumer])


def through_register(folder: Path, error: str) -> History:
    """Run one writer, then a reader: every write is over when it reads."""
    register = Register(error)

    def writer(log: ProcessLog) -> None:
        for value in range(EACH):
            log.invoke("write", value)
            register.write(value)
            log.ok()

    def reader(log: ProcessLog) -> None:
        for _ in range(EACH):
            log.invoke("read")
            log.ok(register.read())

    return run(folder, Header(ipclab_history=1, model="register"), [writer], [reader, reader])


def through_cas(folder: Path, error: str) -> History:
    """Run two processes that both try to go from 0 to a value of their own."""
    register = Register(error)

    def first(log: ProcessLog) -> None:
        log.invoke("write", 0)
        register.write(0)
        log.ok()

    def rival(value: int) -> Job:
        def job(log: ProcessLog) -> None:
            log.invoke("cas", [0, value])
            if register.cas(0, value):
                log.ok()
            else:
                log.fail()

        return job

    return run(folder, Header(ipclab_history=1, model="register"), [first], [rival(1), rival(2)])


def through_counter(folder: Path, error: str) -> History:
    """Run two processes that add, then one that reads."""
    counter = Counter(error)

    def adder(log: ProcessLog) -> None:
        for _ in range(EACH):
            log.invoke("add", 1)
            counter.add(1)
            log.ok()

    def reader(log: ProcessLog) -> None:
        log.invoke("read")
        log.ok(counter.read())

    return run(folder, Header(ipclab_history=1, model="counter"), [adder, adder], [reader])


def through_lock(folder: Path, error: str) -> History:
    """Run two processes that hold it in turn, and once, where the lock lets them, at the same time."""
    lock = Lock(error)
    together = threading.Barrier(2)

    def worker(log: ProcessLog) -> None:
        for _ in range(EACH):
            log.invoke("acquire")
            token = lock.acquire()
            if token is None:
                log.fail()
                continue
            log.ok(token)
            if error == "two holders":
                together.wait(10)
            log.invoke("release")
            lock.release()
            log.ok()
            if error == "two holders":
                together.wait(10)

    return run(folder, Header(ipclab_history=1, model="lock"), [worker, worker])
