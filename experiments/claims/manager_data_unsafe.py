"""8. The data in a Manager's dict and list is unsafe between processes: a change of two calls can be lost."""

import contextlib
import multiprocessing
import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from multiprocessing.managers import SyncManager
from multiprocessing.synchronize import Barrier, Event
from typing import Any

import msgspec

from ipclab.claims import (
    Bench,
    Fate,
    Row,
    Share,
    Source,
    Text,
    Verdict,
    claim,
    holds,
    holds_when,
    refuted,
)
from ipclab.program import main_of_claim

ADDS, ROUNDS, RACES = 200, 20, 8


class Evidence(msgspec.Struct, frozen=True):
    races: Share  # of those that lost something
    raced: Share  # lost of the additions in them
    forced: Share  # lost where both processes read before either writes
    locked: Share  # lost under Manager().Lock()
    appended: Share  # lost of what was appended, one call each
    nested_plain: int  # length of a plain list in the dict, after an append to it
    nested_proxy: int  # the same for a list of the Manager's
    own_key: str  # what a process gets from a nested list of a Manager that has an authkey of its own
    own_key_set: str  # the same where current_process().authkey was set to it before
    owner_killed: Fate  # of the next process that wants a Manager's lock whose holder was killed


def add(shared: Any, lock: AbstractContextManager[Any], start: Barrier) -> None:
    start.wait()
    for _ in range(ADDS):
        with lock:
            shared["n"] += 1


def add_in_step(shared: Any, gate: Barrier) -> None:
    for _ in range(ROUNDS):
        old = shared["n"]
        gate.wait()  # both have read
        shared["n"] = old + 1
        gate.wait()  # both have written


def append(log: Any, start: Barrier) -> None:
    start.wait()
    for n in range(ADDS):
        log.append(n)


def together(bench: Bench, function: Callable[..., Any], *args: Any) -> None:
    """Run two processes that begin at the same time."""
    barrier = bench.context.Barrier(2)
    for child in [bench.start(function, *args, barrier) for _ in range(2)]:
        child.result()


def lost(bench: Bench, manager: SyncManager, function: Callable[..., Any], count: int, *args: Any) -> Share:
    shared = manager.dict(n=0)
    together(bench, function, shared, *args)
    bench.timeline(f"{function.__name__}: {shared['n']} of {2 * count}")
    return Share(2 * count - shared["n"], 2 * count)


def add_to_nested(shared: Any, key: bytes | None) -> str:
    if key:
        multiprocessing.current_process().authkey = key
    try:
        shared["list"].append("x")
    except multiprocessing.AuthenticationError as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


def with_own_key(bench: Bench) -> list[str]:
    """Return what a process that uses a nested list of such a Manager gets, without the key and with it."""
    key = secrets.token_bytes()
    manager = SyncManager(authkey=key, ctx=bench.context)
    manager.start()
    with manager:
        shared = manager.dict(list=manager.list())
        return [bench.start(add_to_nested, shared, given).result() for given in (None, key)]


def hold(lock: AbstractContextManager[Any], has_it: Event) -> None:
    with lock:
        has_it.set()
        time.sleep(60)


def take(lock: AbstractContextManager[Any]) -> str:
    with lock:
        return "had it"


def owner_killed(bench: Bench, lock: AbstractContextManager[Any]) -> Fate:
    has_it = bench.context.Event()
    owner = bench.start(hold, lock, has_it, name="owner")
    has_it.wait()
    owner.kill()
    bench.timeline("the holder of a Manager's lock was killed")
    return bench.start(take, lock, name="next").watch()


def experiment(bench: Bench) -> Evidence:
    with bench.context.Manager() as manager:
        races = [lost(bench, manager, add, ADDS, contextlib.nullcontext()) for _ in range(RACES)]
        log = manager.list()
        together(bench, append, log)
        nest = manager.dict(plain=[], proxy=manager.list())
        nest["plain"].append("x")  # to a copy that came with the call
        nest["proxy"].append("x")
        without_key, with_key = with_own_key(bench)
        return Evidence(
            races=Share(sum(race.k > 0 for race in races), RACES),
            raced=Share(sum(race.k for race in races), sum(race.n for race in races)),
            forced=lost(bench, manager, add_in_step, ROUNDS),
            locked=lost(bench, manager, add, ADDS, manager.Lock()),
            appended=Share(2 * ADDS - len(log), 2 * ADDS),
            nested_plain=len(nest["plain"]),
            nested_proxy=len(nest["proxy"]),
            own_key=without_key,
            own_key_set=with_key,
            owner_killed=owner_killed(bench, manager.Lock()),
        )


def verdict(seen: Evidence) -> Verdict:
    if seen.locked.k or seen.appended.k:
        return holds("even single calls, or changes under a lock, were lost", "单次调用或加锁的修改也会丢失")
    if not seen.forced.k and not seen.raced.k:
        return refuted("no change was lost", "没有丢失任何修改")
    until = Text("", "")
    if seen.owner_killed.hung:
        until = Text(", as long as no holder of it is killed", "，前提是持锁的进程没有被杀")
    return holds_when(
        "a change takes more than one call, as d['n'] += 1 does (read, then write); one call is whole, and "
        f"under Manager().Lock() nothing is lost{until.en}",
        "一次修改要多次调用，例如 d['n'] += 1（先读后写）；单次调用是完整的，在 Manager().Lock() 下不会丢失"
        f"{until.zh}",
    )


def show(seen: Evidence) -> list[Row]:
    return [
        Row(
            Text("two processes, d['n'] += 1: races with a loss", "两个进程 d['n'] += 1：有丢失的竞争"),
            seen.races.text(),
        ),
        Row(Text("additions lost in them", "其中丢失的加法"), seen.raced.text(), key=True),
        Row(
            Text("forced read, read, write, write: lost", "强制 读、读、写、写：丢失"),
            f"{seen.forced.k} / {seen.forced.n}",
            key=True,
        ),
        Row(
            Text("lost under Manager().Lock()", "在 Manager().Lock() 下丢失"),
            f"{seen.locked.k} / {seen.locked.n}",
            key=True,
        ),
        Row(
            Text("list.append, one call: lost", "list.append（单次调用）：丢失"),
            f"{seen.appended.k} / {seen.appended.n}",
        ),
        Row(
            Text(
                "d['plain'].append(x): a plain list inside then has",
                "d['plain'].append(x)：嵌套的普通列表长度",
            ),
            str(seen.nested_plain),
        ),
        Row(
            Text(
                "d['proxy'].append(x): a Manager's list inside then has",
                "d['proxy'].append(x)：嵌套的代理列表长度",
            ),
            str(seen.nested_proxy),
        ),
        Row(
            Text(
                "the same of a Manager with its own authkey, in another process: error",
                "同上，Manager 有自己的 authkey，在另一个进程中：异常",
            ),
            seen.own_key,
            key=True,
        ),
        Row(
            Text(
                "the same, current_process().authkey set to it: error",
                "同上，已设置 current_process().authkey：异常",
            ),
            seen.own_key_set,
        ),
        Row(
            Text(
                "the holder of Manager().Lock() was killed: the next one",
                "Manager().Lock() 的持有者被杀：下一个进程",
            ),
            seen.owner_killed.text(Text("gets the lock", "取得锁")),
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=8,
    section="sharing",
    statement=Text(
        "The data in a Manager's dict and list is unsafe between processes.",
        "Manager 的 dict 和 list 中的数据在进程间不安全。",
    ),
    practice=Text(
        "Hold a `Manager().Lock()` from the read to the write; nest only Manager objects, or assign the "
        "changed object back as a whole. Where a Manager has an `authkey` of its own, set "
        "`multiprocessing.current_process().authkey` to it in every process before a nested proxy is used. A "
        "killed holder keeps the lock: where that can happen, use a broker, or give the data to one process.",
        "从读到写全程持有 `Manager().Lock()`；嵌套时只放 Manager 的对象，或把改好的对象整体赋值回去。"
        "Manager 有自己的 `authkey` 时，每个进程在使用嵌套代理之前都要把 "
        "`multiprocessing.current_process().authkey` 设为它。被杀的持有者不会释放锁：若可能发生，"
        "请用消息中间件，或让一个进程独占数据。",
    ),
    sources=(
        Source(
            "multiprocessing: proxy objects",
            "https://docs.python.org/3/library/multiprocessing.html#proxy-objects",
        ),
        Source("CPython: one request per call, a thread per client", "Lib/multiprocessing/managers.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
