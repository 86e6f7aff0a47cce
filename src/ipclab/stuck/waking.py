"""What could still wake each thread. Pure.

A thread **stands** where nothing that was seen can wake it: it did not run between the two looks, its call
has no time limit, and each thread that could end its wait stands too. Everything else is live. So a process
that works, sleeps or waits with a time limit is never stuck, and neither is one that such a process may wake.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, assert_never

from ipclab.stuck import names
from ipclab.stuck.facts import Process, Scene, Thing, Thread

Why = Literal["no holder", "rest missing", "no answer", "stopped", "nobody", "all wait"]
"""Why nothing wakes a thread.

``no holder``     the lock is taken, and no living process holds it.
``rest missing``  it has a part of a message, and no process sends the rest.
``no answer``     it has sent a request, and the server does not work on it.
``stopped``       a signal has stopped those who could, or the process itself.
``nobody``        there is no other thread that could.
``all wait``      those who could wait themselves.
"""
_BLOCKING = frozenset(
    (
        "blpop",
        "brpop",
        "blmove",
        "blmpop",
        "brpoplpush",
        "bzpopmin",
        "bzpopmax",
        "xread",
        "xreadgroup",
        "get_message",
        "listen",
        "wait",
    )
)
"""The calls of a client that wait on purpose."""
_REQUESTS = ("/redis/", "/pymemcache/")
Key = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Standing:
    """A thread that nothing wakes. ``by`` are the processes that could end its wait, if they went on."""

    pid: int
    thread: Thread
    why: Why
    by: tuple[int, ...]


def standing(scene: Scene) -> list[Standing]:
    """Return the threads of Python that nothing can wake, in the order of the processes."""
    live: set[Key] = set()
    pairs = [(process, thread) for process in scene.processes.values() for thread in process.threads]
    while fresh := {
        (process.pid, thread.tid)
        for process, thread in pairs
        if (process.pid, thread.tid) not in live and _is_live(scene, process, thread, live)
    }:
        live |= fresh
    return [
        Standing(process.pid, thread, *_why(scene, process, thread))
        for process, thread in pairs
        if thread.frames and (process.pid, thread.tid) not in live and not _is_outside_of_it(thread)
    ]


def wakers(scene: Scene, process: Process, thread: Thread) -> tuple[int, ...]:
    """Return the processes that could end the wait of a thread, the thread's own among them where another
    thread of it could."""
    found = {pid for thing in thread.wait.on for pid in _candidates(scene, process, thread, thing) or ()}
    return tuple(sorted(found))


def _is_live(scene: Scene, process: Process, thread: Thread, live: set[Key]) -> bool:
    if process.stopped or _is_outside_of_it(thread) or not _counts(process, thread):
        return False
    wait = thread.wait
    if thread.moved or wait.timed or wait.call in ("none", "other", "sleep") or not wait.on:
        return True
    return any(_may_come(scene, process, thread, thing, live) for thing in wait.on)


def _counts(process: Process, thread: Thread) -> bool:
    """Return whether a thread can do anything: a thread of a Python process that has no Python stack, such
    as one of a library for algebra, waits for work, unless it runs."""
    return bool(thread.frames) or thread.moved or not any(one.frames for one in process.threads)


def _is_outside_of_it(thread: Thread) -> bool:
    """Return whether a thread never wakes another one by itself: the lab's own, or a library's helper."""
    return names.is_lab_thread(thread) or names.supervises(thread) or names.role(thread) in names.HELPERS


def _may_come(scene: Scene, process: Process, thread: Thread, thing: Thing, live: set[Key]) -> bool:
    candidates = _candidates(scene, process, thread, thing)
    if candidates is None:
        return True
    for pid in candidates:
        if pid in scene.apart:
            continue
        other = scene.processes.get(pid)
        if other is None:
            return True
        if any((pid, t.tid) in live and t.tid != thread.tid for t in other.threads):
            return True
    return False


def _candidates(scene: Scene, process: Process, thread: Thread, thing: Thing) -> tuple[int, ...] | None:
    """Return the processes that could provide a thing; None where that is unknown or anything could."""
    match thing.kind:
        case "outside":
            return None
        case "process":
            if thing.key not in ("", "-1"):
                return (int(thing.key),)
            return tuple(one.pid for one in scene.processes.values() if one.parent == process.pid) or None
        case "pipe" | "socket":
            return _at_other_end(scene, thread, thing)
        case "semaphore":
            found = scene.semaphores.get(thing.key)
            if found is None or found.value > 0:
                return None
            return found.holders if found.at_most == 1 and found.known else found.users
        case "lock":
            return (process.pid,)
        case "file":
            return tuple(pid for pid in scene.file_locks.get(thing.key, ()) if pid != process.pid) or None
        case _ as never:
            assert_never(never)


def _at_other_end(scene: Scene, thread: Thread, thing: Thing) -> tuple[int, ...] | None:
    found = scene.ends.get(thing.key)
    if found is None or not found.known:
        return None
    there = found.writers if thing.wants == "read" else found.readers
    if not there:
        return None
    if thing.wants == "read" and names.in_message(thread):
        return tuple(pid for pid in there if pid in scene.apart or _sends(scene.processes.get(pid), thing))
    if is_request(thread) and not any(_moved(scene.processes.get(pid)) for pid in there):
        return ()
    return there


def is_request(thread: Thread) -> bool:
    """Return whether a client library waits for the answer to a request that servers answer at once."""
    frames = names.own_frames(thread)
    in_client = any(part in frame.file for frame in frames for part in _REQUESTS)
    return in_client and not any(frame.function.rpartition(".")[2] in _BLOCKING for frame in frames)


def _sends(process: Process | None, thing: Thing) -> bool:
    """Return whether a process is about to write to this pipe, or works and may."""
    if process is None:
        return True
    if process.stopped:
        return False
    writes = (on.key == thing.key for t in process.threads if t.wait.call == "write" for on in t.wait.on)
    return any(writes) or _moved(process)


def _moved(process: Process | None) -> bool:
    return process is None or any(thread.moved for thread in process.threads)


def _why(scene: Scene, process: Process, thread: Thread) -> tuple[Why, tuple[int, ...]]:
    """Return why a thread stands, and the processes that could end its wait."""
    if process.stopped:
        return "stopped", ()
    by = wakers(scene, process, thread)
    for thing in thread.wait.on:
        semaphore = scene.semaphores.get(thing.key)
        if semaphore is not None and semaphore.at_most == 1 and semaphore.known and not semaphore.holders:
            return "no holder", ()
        ends = scene.ends.get(thing.key)
        there = () if ends is None else ends.writers if thing.wants == "read" else ends.readers
        stopped = tuple(pid for pid in there if pid in scene.processes and scene.processes[pid].stopped)
        if stopped and (names.in_message(thread) or set(stopped) >= set(there) - {process.pid}):
            return "stopped", stopped
        if thing.wants == "read" and there and names.in_message(thread):
            return "rest missing", there
        if there and is_request(thread):
            return "no answer", there
    others = [t for t in process.threads if t.tid != thread.tid and t.frames and not names.is_lab_thread(t)]
    if set(by) <= {process.pid} and not others:
        return "nobody", by
    return "all wait", by
