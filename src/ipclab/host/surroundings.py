"""The settings of a process and what runs in it, compared before and after foreign code has run."""

from __future__ import annotations

import contextlib
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from ipclab.host.resources import descendants

_GONE_WITHIN_S = 10.0
_MOST_SHOWN = 80
_SET_CHILD_SUBREAPER = 36
_CLOCKS = ("time", "time_ns", "monotonic", "monotonic_ns", "perf_counter", "perf_counter_ns", "sleep")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The settings of the calling process that foreign code may change, and its threads."""

    affinity: frozenset[int]
    nice: int
    folder: str
    umask: int
    handlers: dict[int, Any]
    threads: frozenset[int]

    @classmethod
    def now(cls) -> Surroundings:
        """Return the surroundings of the calling process."""
        umask = os.umask(0o077)
        os.umask(umask)
        affinity = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set[int]()
        with contextlib.suppress(FileNotFoundError):
            folder = os.getcwd()
            return cls(
                affinity=frozenset(affinity),
                nice=os.nice(0),
                folder=folder,
                umask=umask,
                handlers={number: signal.getsignal(number) for number in signal.valid_signals()},
                threads=frozenset(id(thread) for thread in threading.enumerate()),
            )
        return cls(frozenset(affinity), os.nice(0), "", umask, {}, frozenset())

    def changes(self, before: Surroundings) -> list[str]:
        """Return what has changed since ``before``, one line each."""
        lines = []
        if self.affinity != before.affinity:
            was, now = sorted(before.affinity), sorted(self.affinity)
            lines.append(f"changed the CPU affinity of its process from {was} to {now}")
        if self.nice != before.nice:
            lines.append(f"changed the nice value of its process from {before.nice} to {self.nice}")
        if self.folder != before.folder:
            lines.append(f"changed the working folder of its process to {self.folder or 'one that is gone'}")
        if self.umask != before.umask:
            lines.append(f"changed the umask of its process from {before.umask:03o} to {self.umask:03o}")
        for number, handler in self.handlers.items():
            if number in before.handlers and handler != before.handlers[number]:
                lines.append(f"changed the handler of {signal.Signals(number).name} in its process")
        for thread in threading.enumerate():
            if id(thread) not in before.threads and thread.is_alive():
                kind = "thread" if thread.daemon else "non-daemon thread"
                lines.append(f"left a {kind} running in its process: {thread.name}")
        return lines


def clocks() -> dict[str, Callable[..., Any]]:
    """Return the functions of the module ``time`` that the lab measures and waits with, by name."""
    return {name: getattr(time, name) for name in _CLOCKS}


def restore_clocks(before: Mapping[str, Callable[..., Any]]) -> list[str]:
    """Undo each replacement of a clock since ``before``, and describe it in a line.

    With a foreign clock in its place, a trial would measure nothing real, and could wait for ever.
    """
    replaced = [name for name, clock in before.items() if getattr(time, name) is not clock]
    for name in replaced:
        setattr(time, name, before[name])
    return [f"replaced time.{name} in its process; the lab undid that" for name in replaced]


def adopt_orphans() -> None:
    """Make Linux give the calling process every descendant whose own parent ends."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def running_descendants(pid: int) -> list[psutil.Process]:
    """Return the running descendants of this process, without zombies and helpers of multiprocessing."""
    helpers = {
        multiprocessing.forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
        multiprocessing.resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
    }
    return [p for p in descendants(pid) if p.pid not in helpers and _runs(p) and not _is_helper(p)]


def end_descendants(pid: int) -> list[str]:
    """Kill every descendant of this process; return a description of each: ``sleep 300 (pid 4242)``.

    A process that one of them starts meanwhile is found in the next round. The fork server of the calling
    process is ended first and is not named: it may not have forked yet what it was asked for.
    """
    if pid == os.getpid():
        _end_forkserver()
    named: dict[int, str] = {}
    deadline = time.monotonic() + _GONE_WITHIN_S
    while (left := running_descendants(pid)) and time.monotonic() < deadline:
        for process in left:
            with contextlib.suppress(psutil.Error):
                named.setdefault(process.pid, describe(process))
                process.kill()
        if pid == os.getpid():
            _reap_adopted()
        time.sleep(0.005)
    return list(named.values())


def describe(process: psutil.Process) -> str:
    """Return the command line and the pid of a process."""
    try:
        words = " ".join(process.cmdline()) or process.name()
    except psutil.Error:
        words = "a process"
    short = " ".join(words.split())
    return f"{short if len(short) <= _MOST_SHOWN else short[:_MOST_SHOWN] + '…'} (pid {process.pid})"


def _runs(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _is_helper(process: psutil.Process) -> bool:
    """Return whether it is a resource tracker, which ends by itself once no process holds its pipe."""
    try:
        return any("multiprocessing.resource_tracker" in word for word in process.cmdline())
    except psutil.Error:
        return False


def _end_forkserver() -> None:
    """Kill the fork server of the calling process, where it has one."""
    server: Any = multiprocessing.forkserver._forkserver
    if server._forkserver_pid is not None:
        with contextlib.suppress(OSError):
            os.kill(server._forkserver_pid, signal.SIGKILL)
            server._stop()


def _reap_adopted() -> None:
    """Reap children that the calling process has adopted; leave those of multiprocessing to it."""
    known = {child.pid for child in multiprocessing.process.active_children()}
    for child in psutil.Process().children():
        if child.pid not in known:
            with contextlib.suppress(psutil.Error, ChildProcessError):
                if child.status() == psutil.STATUS_ZOMBIE:
                    os.waitpid(child.pid, os.WNOHANG)
