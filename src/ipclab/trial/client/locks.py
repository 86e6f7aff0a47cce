"""Faults of locks that do not know which process holds them."""

from __future__ import annotations

import fcntl
import os
import threading
import warnings
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.backends.manager.channels import ManagerServer
from ipclab.history.log import ProcessLog
from ipclab.host.start_methods import context
from ipclab.trial.client.bench import OTHER, PROGRAM, THIRD, Bench
from ipclab.trial.client.child import Child, hung, say
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import came_of


class FileLock:
    """A lock that the kernel frees when its holder ends: a locked file. It can be passed to any process.

    The lock belongs to the process, so a child that the holder forks does not keep it. Threads of one process
    do not exclude each other.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> None:
        self._file = os.open(self._path, os.O_RDWR | os.O_CREAT)
        self._lock(self._file)

    def _lock(self, file: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self._file)


class OpenFileLock(FileLock):
    """A lock that belongs to the open file, which a forked child shares with its parent."""

    def _lock(self, file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)


def _take(parent: Connection, log: Path, process: int, lock: Any, hold: bool) -> None:
    """Take the lock and release it: at once, or when the lab says so."""
    # A Manager's lock connects to its server by this; connecting must not count as a hang.
    str(lock)
    say(parent, "begins")
    with ProcessLog(log, process) as history:
        history.invoke("acquire")
        with lock:
            history.ok()
            if hold:
                say(parent, "has it")
                parent.recv()
            history.invoke("release")
        history.ok()


def _start(bench: Bench, name: str, process: int, lock: Any, *, hold: bool) -> Child:
    child = bench.start(name, _take, bench.log(process), process, lock, hold)
    child.heard()
    return child


def _owner_killed(bench: Bench, lock: Any, *, right: bool) -> Seen:
    owner = _start(bench, "other", OTHER, lock, hold=True)
    owner.heard()
    with bench.fault("kill", "other program"):
        owner.kill()
    stuck = hung(_start(bench, "program", PROGRAM, lock, hold=False), right=right)
    finding = f"the owner of a lock was killed; the next one who asked for it {came_of(stuck, 'program')}"
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _lock_owner_killed(bench: Bench, *, right: bool) -> Seen:
    return _owner_killed(bench, _file_lock(bench) if right else bench.site.context.Lock(), right=right)


def _outlive(alive: Connection, labs: Connection) -> None:
    """Do nothing until the lab is gone."""
    labs.close()
    alive.poll(None)


def _take_and_fork(parent: Connection, log: Path, lock: Any, alive: Connection, labs: Connection) -> None:
    """Take the lock, start a child, and never release the lock."""
    with ProcessLog(log, OTHER) as history:
        history.invoke("acquire")
        with lock:
            history.ok()
            context("fork").Process(target=_outlive, args=(alive, labs), name="ipclab child").start()
            labs.close()
            say(parent, "has it, and a child")
            parent.recv()


def _owner_with_child_killed(bench: Bench, *, right: bool) -> Seen:
    lock = (FileLock if right else OpenFileLock)(bench.folder / "lock")
    alive, labs = bench.site.context.Pipe(duplex=False)
    bench.at_end(alive.close)
    bench.at_end(labs.close)
    owner = bench.start("other", _take_and_fork, bench.log(OTHER), lock, alive, labs, forks=True)
    owner.heard()
    with bench.fault("kill", "other program"):
        owner.kill()
    # The next process must not have what keeps the child alive.
    program = bench.start("program", _take_after, bench.log(PROGRAM), lock, labs)
    program.heard()
    stuck = hung(program, right=right)
    finding = (
        "the owner of a locked file had forked a child when it was killed; the next one who asked for it "
        f"{came_of(stuck, 'program')}"
    )
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _take_after(parent: Connection, log: Path, lock: Any, labs: Connection) -> None:
    labs.close()
    _take(parent, log, PROGRAM, lock, False)


def _manager_owner_killed(bench: Bench, *, right: bool) -> Seen:
    return _owner_killed(bench, _file_lock(bench) if right else _manager_lock(bench), right=right)


def _manager_waiter_killed(bench: Bench, *, right: bool) -> Seen:
    lock: Any = _file_lock(bench) if right else _manager_lock(bench)
    owner = _start(bench, "other", OTHER, lock, hold=True)
    owner.heard()
    waiter = _start(bench, "third", THIRD, lock, hold=False)
    waited = waiter.stands()
    with bench.fault("kill", "third program"):
        waiter.kill()
    owner.tell("let go")
    owner.result()
    if not right:
        bench.until(lambda: _is_taken(lock), "the server to give the lock to the process that was killed")
    stuck = hung(_start(bench, "program", PROGRAM, lock, hold=False), right=right)
    finding = (
        "a process was killed while it waited for a lock; when that was free again, the next one who asked "
        f"for it {came_of(stuck, 'program')}"
    )
    return Seen(finding=finding, counts={"hung": len(stuck)}, produced=bool(waited), hung=stuck)


def _is_taken(lock: Any) -> bool:
    if lock.acquire(False):
        lock.release()
        return False
    return True


def _file_lock(bench: Bench) -> FileLock:
    return FileLock(bench.folder / "lock")


def _manager_lock(bench: Bench) -> Any:
    server = ManagerServer()
    bench.at_end(server.teardown)
    return server.start_manager(bench.site).Lock()


MODULES_LOCK = threading.Lock()
"""A lock in a module. A forked process gets it in its present state; a spawned one makes a new one."""


def _take_modules_lock(parent: Connection, log: Path) -> None:
    with ProcessLog(log, OTHER) as history:
        history.invoke("acquire", key="lock of the other program")
        with MODULES_LOCK:
            history.ok()


def _start_while_held(
    parent: Connection, log: Path, others_log: Path, folder: Path, right: bool
) -> tuple[dict[str, str], int]:
    """Start a process while a thread of this one holds the lock; return where that hangs, and how often
    Python warned of it."""
    held, let_go = threading.Event(), threading.Event()

    def hold() -> None:
        with ProcessLog(log, PROGRAM) as history:
            history.invoke("acquire", key="lock of the program")
            with MODULES_LOCK:
                history.ok()
                held.set()
                let_go.wait()

    threading.Thread(target=hold, daemon=True).start()
    held.wait()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        child = Child("other", folder, "spawn" if right else "fork", _take_modules_lock, (others_log,))
    try:
        return hung(child, right=right), len(warned)
    finally:
        child.end()


def _forked_lock(bench: Bench, *, right: bool) -> Seen:
    logs = bench.log(PROGRAM), bench.log(OTHER)
    program = bench.start("program", _start_while_held, *logs, bench.folder, right, forks=True)
    stuck, warned = program.result()
    how = "spawned" if right else "forked"
    warning = "" if right else f" (warnings of Python: {warned})"
    finding = (
        f"a process was {how} while a thread of its parent held a lock{warning}; taking it there "
        f"{came_of(stuck, 'other')}"
    )
    return Seen(finding=finding, counts={"hung": len(stuck), "warnings": warned}, hung=stuck)


_pair = partial(pair, library="", model="lock", says="nothing: it waits for ever")
_KERNEL = "fcntl.lockf(file, fcntl.LOCK_EX), close(file)"

SCENARIOS = (
    *_pair(
        "lock-owner-killed",
        _lock_owner_killed,
        backend="value",
        asked="acquire() of a multiprocessing.Lock, whose owner was killed",
        has="a semaphore at 0, which has no owner",
        default="multiprocessing.Lock()",
        right=_KERNEL,
    ),
    *_pair(
        "manager-lock-owner-killed",
        _manager_owner_killed,
        backend="manager-dict",
        asked="acquire() of a Manager's Lock, whose owner was killed",
        has="a server that holds the lock for the killed process",
        default="Manager().Lock()",
        right=_KERNEL,
    ),
    *_pair(
        "manager-lock-waiter-killed",
        _manager_waiter_killed,
        backend="manager-dict",
        asked="acquire() of a Manager's Lock, after a process that waited for it was killed",
        has="a server that gave the lock to the killed process",
        default="Manager().Lock()",
        right=_KERNEL,
    ),
    *_pair(
        "flock-owner-killed",
        _owner_with_child_killed,
        backend="value",
        asked="fcntl.flock() of a file, whose owner was killed after it had forked a child",
        has="an open file that the child shares, and with it the lock",
        default="fcntl.flock(file, fcntl.LOCK_EX), close(file)",
        right=_KERNEL,
    ),
    *_pair(
        "forked-lock",
        _forked_lock,
        backend="value",
        asked="the lock of a module, in a process that was started while a thread of its parent held it",
        has="a copy of a held lock, and no thread that could release it",
        default="get_context('fork')",
        right="get_context('spawn')",
    ),
)
