"""4. A mutex protects shared data: while one process holds it, no other one gets in between."""

import fcntl
import os
import signal
import time
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier, Event, Lock
from pathlib import Path
from typing import Any

import msgspec

from ipclab.claims import (
    PATIENCE_S,
    Bench,
    Fate,
    Row,
    Source,
    Text,
    Timeline,
    Verdict,
    claim,
    holds,
    holds_when,
    joined,
    refuted,
)
from ipclab.program import main_of_claim

AnyLock = AbstractContextManager[Any]

UPDATES = 50_000


class Evidence(msgspec.Struct, frozen=True):
    updates: int
    lost_without: int  # two processes add at will
    lost_with: int  # the same, each addition under the lock
    forced_without: int  # updates lost where B adds between A's reading and A's writing
    forced_with: int  # the same where both take the lock
    forced_rogue: int  # the same where only A takes it
    owner_killed: Fate  # of the next process that wants the lock
    waiter_killed: Fate
    file_lock: dict[str, Fate]  # by call: of the next one, after the owner was killed that had forked a child


class FileLock:
    """A lock of a file, by fcntl.flock (of the open file) or by fcntl.lockf (of the process)."""

    def __init__(self, path: Path, call: str) -> None:
        self.path, self.call = path, call

    def __enter__(self) -> None:
        self.file = self.path.open("w")
        getattr(fcntl, self.call)(self.file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self.file.close()


class NoLock:
    def __enter__(self) -> None: ...
    def __exit__(self, *_: object) -> None: ...


NO_LOCK = NoLock()


def add(value: Any, lock: AnyLock, start: Barrier) -> None:
    start.wait()
    for _ in range(UPDATES):
        with lock:
            value.value += 1


def race(bench: Bench, lock: AnyLock) -> int:
    value, start = bench.context.RawValue("q", 0), bench.context.Barrier(2)
    for child in [bench.start(add, value, lock, start) for _ in range(2)]:
        child.result()
    return 2 * UPDATES - int(value.value)


def slow_add(
    value: Any,
    lock: AnyLock,
    timeline: Timeline,
    patience_s: float,
    has_read: Event,
    other_tries: Event,
    other_is_done: Event,
) -> None:
    with lock:
        old = value.value
        timeline(f"has read {old}")
        has_read.set()
        other_tries.wait()
        other_is_done.wait(patience_s)
        value.value = old + 1
        timeline(f"writes {old + 1}")


def add_in_between(
    value: Any, lock: AnyLock, timeline: Timeline, has_read: Event, other_tries: Event, other_is_done: Event
) -> None:
    has_read.wait()
    other_tries.set()
    with lock:
        value.value += 1
        timeline(f"has added: {value.value}")
    other_is_done.set()


def forced(bench: Bench, lock_a: AnyLock, lock_b: AnyLock) -> int:
    value, events = bench.context.RawValue("q", 0), [bench.context.Event() for _ in range(3)]
    # All the time that B could want, but where the lock is to keep it out.
    patience_s = 0.5 if lock_a is lock_b is not NO_LOCK else 20
    a = bench.start(slow_add, value, lock_a, bench.timeline, patience_s, *events, name="A")
    b = bench.start(add_in_between, value, lock_b, bench.timeline, *events, name="B")
    a.result(), b.result()
    return 2 - int(value.value)


def hold(lock: Lock, has_it: Event, let_go: Event) -> None:
    with lock:
        has_it.set()
        let_go.wait()


def hold_and_fork(lock: AnyLock, report: Connection) -> None:
    with lock:
        if not os.fork():
            time.sleep(60)
            os._exit(0)
        report.send("has it, and a child")
        time.sleep(60)


def after_a_forked_child(bench: Bench, call: str) -> Fate:
    lock, (told, report) = FileLock(bench.folder / call, call), bench.context.Pipe(duplex=False)
    owner = bench.start(hold_and_fork, lock, report, name="owner")
    bench.until(told.poll, "the owner to fork")
    os.kill(owner.pid, signal.SIGKILL)
    bench.until(lambda: not owner.alive(), "the owner to be gone")
    bench.timeline(f"{call}: the owner was killed, its child lives; the next one asks for the lock")
    # The first one is known to hang, the second one to come back.
    return bench.start(take, lock, name="next").watch(1.0 if call == "flock" else PATIENCE_S)


def take(lock: AnyLock) -> str:
    with lock:
        return "had it"


def after_a_kill(bench: Bench, whom: str) -> Fate:
    lock, has_it, let_go = bench.context.Lock(), bench.context.Event(), bench.context.Event()
    owner = bench.start(hold, lock, has_it, let_go, name="owner")
    has_it.wait()
    if whom == "waiter":
        waiter = bench.start(take, lock, name="waiter")
        waiter.watch(0.3)
        waiter.kill()
        let_go.set()
    else:
        owner.kill()
    bench.timeline(f"{whom} killed; the next one asks for the lock")
    fate = bench.start(take, lock, name="next").watch(1.0 if whom == "owner" else PATIENCE_S)
    bench.timeline(f"the next one: {fate.outcome} {fate.stuck_in}")
    return fate


def experiment(bench: Bench) -> Evidence:
    lock = bench.context.Lock()
    return Evidence(
        updates=2 * UPDATES,
        lost_without=race(bench, NO_LOCK),
        lost_with=race(bench, lock),
        forced_without=forced(bench, NO_LOCK, NO_LOCK),
        forced_with=forced(bench, lock, lock),
        forced_rogue=forced(bench, lock, NO_LOCK),
        owner_killed=after_a_kill(bench, "owner"),
        waiter_killed=after_a_kill(bench, "waiter"),
        file_lock={call: after_a_forked_child(bench, call) for call in ("flock", "lockf")},
    )


def verdict(seen: Evidence) -> Verdict:
    if seen.lost_with or seen.forced_with:
        return refuted("updates were lost under the lock", "持锁时仍有更新丢失")
    if not seen.forced_without and not seen.lost_without:
        return refuted("nothing was lost without a lock either", "不加锁也没有丢失任何更新")
    conditions = []
    if seen.forced_rogue:
        conditions.append(
            Text("every process that touches the data takes the lock", "所有访问该数据的进程都先取锁")
        )
    if seen.owner_killed.outcome != "returned":
        conditions.append(Text("no process dies while it holds the lock", "没有进程在持锁时死亡"))
    if seen.waiter_killed.outcome != "returned":
        conditions.append(Text("no process dies while it waits for the lock", "没有进程在等锁时死亡"))
    if conditions:
        need = joined(conditions, zh="，并且")
        return holds_when(need.en, need.zh)
    return holds("nothing was lost under the lock", "持锁时没有丢失任何更新")


def show(seen: Evidence) -> list[Row]:
    had_it = Text("gets the lock", "取得锁")

    def lost(n: int) -> str:
        return f"{n} / {seen.updates}"

    return [
        Row(
            Text("lost, two processes, no lock", "两个进程、不加锁时丢失"), lost(seen.lost_without), key=True
        ),
        Row(Text("lost under the lock", "加锁时丢失"), lost(seen.lost_with), key=True),
        Row(Text("forced in between, no lock: lost", "强制插入、不加锁：丢失"), f"{seen.forced_without} / 2"),
        Row(
            Text("forced, both take the lock: lost", "强制插入、双方都加锁：丢失"), f"{seen.forced_with} / 2"
        ),
        Row(
            Text("forced, only one takes it: lost", "强制插入、仅一方加锁：丢失"),
            f"{seen.forced_rogue} / 2",
            key=True,
        ),
        Row(
            Text("after its owner was killed, the next one", "持锁进程被杀后，下一个进程"),
            seen.owner_killed.text(had_it),
            key=True,
        ),
        Row(
            Text("after a waiter was killed, the next one", "等待进程被杀后，下一个进程"),
            seen.waiter_killed.text(had_it),
        ),
        *(
            Row(
                Text(
                    f"a lock by fcntl.{call}, its owner was killed and a forked child lives: the next one",
                    f"fcntl.{call} 的锁，持锁进程被杀而其 fork 的子进程仍在：下一个进程",
                ),
                fate.text(had_it),
                key=True,
            )
            for call, fate in seen.file_lock.items()
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=4,
    section="locks",
    statement=Text("A mutex protects shared data.", "互斥锁能保护共享数据。"),
    practice=Text(
        "Take the lock around every access, reads that lead to writes included; use `with`. Where a process "
        "may be killed, lock a file by `fcntl.lockf`, which the system frees with its owner, and check the "
        "data after that; a lock by `fcntl.flock` is kept by any child that the owner has forked.",
        "凡访问共享数据（包括“先读后写”中的读）都要加锁，并使用 `with`。若进程可能被杀，"
        "改用 `fcntl.lockf` 锁住一个文件：系统会随持锁进程的死亡释放它，之后要检查数据；"
        "`fcntl.flock` 的锁会被持锁进程 fork 出的子进程保留。",
    ),
    sources=(
        Source(
            "multiprocessing: synchronization between processes",
            "https://docs.python.org/3/library/multiprocessing.html#synchronization-between-processes",
        ),
        Source(
            "CPython: SemLock is a POSIX semaphore without an owner to outlive",
            "Modules/_multiprocessing/semaphore.c",
        ),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
