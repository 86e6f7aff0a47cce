"""Looks at processes from outside, twice, and collects what was seen.

Nothing here stops, signals or changes a process. Needs Linux, and the right to read the processes: the same
user, and a system that permits it.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from ipclab.errors import UsageError
from ipclab.host import resources, stillness
from ipclab.host.text import clean
from ipclab.stuck import ends, semaphores, sockets, spy, tasks
from ipclab.stuck.facts import Ends, Process, Scene, Semaphore, Thing, Thread

BETWEEN_S = 1.0
"""Seconds between the two looks. A thread that ran meanwhile is slow, not stuck."""
_ROUNDS = 8
"""How often the processes at the other ends are added; a chain of waiting processes is rarely longer."""
_KERNEL = 2
"""The parent of the kernel's own threads."""
Turns = dict[tuple[int, int], tuple[int, str]]


def examine(
    pids: Sequence[int], *, between_s: float = BETWEEN_S, apart: frozenset[int] = frozenset()
) -> Scene:
    """Look twice at these processes, their descendants, and all that may wake them. Return what was seen.

    The processes ``apart`` are not looked at, and wake no other one. The caller is not looked at either.
    Raise UsageError where a process does not exist, is not Python, or may not be read.
    """
    if sys.platform != "linux":
        raise UsageError("ipclab hang reads /proc, so it works on Linux only; run it in the container")
    spy.program()
    for pid in pids:
        if stillness.gone(pid):
            raise UsageError(f"there is no process {pid}; 'ps -ef' lists them")
    left_out = apart | {os.getpid()}
    concerned, before = _concerned(pids, left_out), _turns_of_all()
    time.sleep(between_s)
    concerned |= _concerned(pids, left_out)
    processes = {pid: found for pid in sorted(concerned) if (found := _process(pid, pid in pids)) is not None}
    after = _turns(processes)
    for pid, process in processes.items():
        threads = tuple(_with_moved(pid, thread, before, after) for thread in process.threads)
        processes[pid] = Process(
            pid, process.parent, process.command, process.stopped, threads, process.unread
        )
    for pid in pids:
        if (asked := processes.get(pid)) is not None and asked.unread:
            raise UsageError(f"process {pid} ({asked.command}) cannot be read: {asked.unread}")
    return _scene(pids, processes, apart)


def _concerned(pids: Iterable[int], left_out: frozenset[int]) -> set[int]:
    """Return the processes with their descendants, and those at the other ends of what they wait for."""
    found: set[int] = set()
    fresh = {pid for root in pids for pid in (root, *(p.pid for p in resources.descendants(root)))} - left_out
    for _ in range(_ROUNDS):
        found |= fresh
        waits = [tasks.wait(pid, tid) for pid in fresh for tid in tasks.tids(pid)]
        things = {thing for wait in waits for thing in wait.on}
        fresh = _around(things) - found - left_out
        if not fresh:
            break
    return {pid for pid in found if not stillness.gone(pid)}


def _around(things: set[Thing]) -> set[int]:
    """Return the processes that may provide these things."""
    opened = _ends(things).values()
    found = {pid for one in opened for pid in (*one.readers, *one.writers)}
    found |= {pid for one in _semaphores(things).values() for pid in one.users}
    found |= {int(thing.key) for thing in things if thing.kind == "process" and thing.key not in ("", "-1")}
    found |= {pid for holders in _file_locks(things).values() for pid in holders}
    return {pid for pid in found if pid > _KERNEL}


def _ends(things: Iterable[Thing]) -> dict[str, Ends]:
    inodes = {thing.key for thing in things if thing.kind in ("pipe", "socket")}
    return ends.of(inodes, sockets.peers(os.getpid())) if inodes else {}


def _semaphores(things: Iterable[Thing]) -> dict[str, Semaphore]:
    keys = {thing.key for thing in things if thing.kind == "semaphore"}
    pids = ends.all_pids() if keys else []
    return {key: semaphores.find(key, pids) for key in keys}


def _file_locks(things: Iterable[Thing]) -> dict[str, tuple[int, ...]]:
    return ends.lock_holders({thing.key for thing in things if thing.kind == "file"})


def _scene(pids: Sequence[int], processes: dict[int, Process], apart: frozenset[int]) -> Scene:
    threads = [thread for process in processes.values() for thread in process.threads]
    things = {thing for thread in threads for thing in thread.wait.on}
    return Scene(tuple(pids), processes, _ends(things), _semaphores(things), _file_locks(things), apart=apart)


def _process(pid: int, asked: bool) -> Process | None:
    """Return the process; None where it is gone. Raise RefusedError where one asked for is refused."""
    try:
        found = psutil.Process(pid)
        parent, words = found.ppid(), found.cmdline()
    except psutil.Error:
        return None
    unread = ""
    spied: list[spy.Spied] = []
    try:
        if _is_python(pid):
            spied = spy.threads(pid)
        elif asked:
            unread = "it is no Python process"
    except ValueError as error:
        unread = str(error)
    except spy.RefusedError as error:
        if asked:
            raise
        unread = str(error)
    by_tid = {one.tid: one for one in spied}
    threads = []
    for tid in tasks.tids(pid):
        one = by_tid.get(tid)
        name = one.name if one else tasks.name(pid, tid)
        frames = one.frames if one else ()
        threads.append(Thread(tid, name, tid == pid, frames, False, tasks.wait(pid, tid)))
    command = clean(" ".join(Path(word).name if "/" in word else word for word in words))[:200]
    return Process(pid, parent, command or f"process {pid}", stillness.stopped(pid), tuple(threads), unread)


def _is_python(pid: int) -> bool:
    """Return whether the process has an interpreter of Python: its program or one of its libraries."""
    try:
        maps = Path(f"/proc/{pid}/maps").read_text()
    except PermissionError:
        raise spy.RefusedError(spy.REFUSED.format(pid=pid)) from None
    except OSError:
        return False
    return "python" in maps.lower()


def _turns(pids: Iterable[int]) -> Turns:
    return {(pid, tid): tasks.turns(pid, tid) for pid in pids for tid in tasks.tids(pid)}


def _turns_of_all() -> Turns:
    return _turns(pid for pid in ends.all_pids() if pid > _KERNEL)


def _with_moved(pid: int, thread: Thread, before: Turns, after: Turns) -> Thread:
    count, state = after.get((pid, thread.tid), (-1, ""))
    moved = before.get((pid, thread.tid), (-2, ""))[0] != count or state == "R"
    return Thread(thread.tid, thread.name, thread.is_main, thread.frames, moved, thread.wait)
