"""Tries foreign code in a process of its own, before the lab runs it in its own process.

An import or a constructor may end its process without an exception (``os._exit``, a crash in C code). It may
also never return, with all signals blocked. No ``except`` helps against either, so a child tries it first.
The child also sees what the code changes in its process: in the lab's own, that would reach every trial.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Callable, Mapping
from typing import Any

from ipclab.exit_codes import ChildExit
from ipclab.host import hang
from ipclab.host.interruptions import ending_blocked
from ipclab.host.supervisor import in_words
from ipclab.host.surroundings import (
    Surroundings,
    adopt_orphans,
    clocks,
    describe,
    end_descendants,
    restore_clocks,
    running_descendants,
)

HANGS_AFTER_S = 10.0
"""How long foreign code may stand still."""
SLOW_AT_MOST_S = 50.0
"""How much longer it may run."""
_RETURNED, _INTERRUPTED, _CHANGED = b".", b"i", b"c"
_MOST_SAID = 1024


def fatal(action: Callable[[], object]) -> str:
    """Return what ``action()`` does to its process, in words that follow its name; empty for nothing.

    It ends or holds the process, or changes what belongs to the whole process: affinity, nice value, working
    folder, umask, signal handlers, clocks, threads or processes that are left. It runs in a forked child, so
    the calling process should have no other threads. An exception that it raises is not reported, except
    KeyboardInterrupt, which the lab could not distinguish from its own.
    """
    if not hasattr(os, "fork"):
        return ""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        _rehearse(action, writing)
    os.close(writing)
    status = 0
    try:
        waited = hang.outlast(
            _readable(reading),
            lambda: bool(select.select([reading], [], [], 0)[0]) or _has_ended(pid),
            within_s=HANGS_AFTER_S,
            pids=lambda: [pid],
            slow_at_most_s=SLOW_AT_MOST_S,
        )
        answered = bool(select.select([reading], [], [], 0)[0])
        said = os.read(reading, _MOST_SAID) if answered else b""
    finally:
        with ending_blocked():
            os.close(reading)
            if not _ended(pid):
                os.kill(pid, signal.SIGSTOP)
                end_descendants(pid)
                os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
    if waited != "came":
        return "does not return"
    if said == _INTERRUPTED:
        return "raises KeyboardInterrupt"
    if said.startswith(_CHANGED):
        return said.removeprefix(_CHANGED).decode("utf-8", "replace")
    return "" if said == _RETURNED else in_words(os.waitstatus_to_exitcode(status))


def _readable(reading: int) -> Callable[[Callable[[], bool], float], bool]:
    def wait(until: Callable[[], bool], seconds: float) -> bool:
        select.select([reading], [], [], seconds)
        return until()

    return wait


def _ended(pid: int) -> bool:
    """Return whether the child has ended or is about to, and leave it to be reaped."""
    deadline = time.monotonic() + 1.0
    while time.monotonic() < deadline:
        if _has_ended(pid):
            return True
        time.sleep(0.002)
    return False


def _has_ended(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _changes(before: Surroundings, watched: Mapping[str, Callable[..., Any]]) -> bytes:
    """Return what has changed in this process, as a message to the lab; empty for nothing."""
    now = clocks()
    lines = [
        f"replaced time.{name} in its process" for name, clock in watched.items() if now[name] is not clock
    ]
    restore_clocks(watched)
    lines += Surroundings.now().changes(before)
    lines += [f"left a process running: {describe(process)}" for process in running_descendants(os.getpid())]
    return (_CHANGED + "; it ".join(lines).encode())[:_MOST_SAID] if lines else b""


def _rehearse(action: Callable[[], object], writing: int) -> None:
    """Run the action, and end this process without any clean-up of the lab."""
    said = _RETURNED
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        adopt_orphans()
        nowhere = os.open(os.devnull, os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nowhere, standard)
        before, watched = Surroundings.now(), clocks()
        try:
            action()
        finally:
            said = _changes(before, watched) or _RETURNED
    except KeyboardInterrupt:
        said = _INTERRUPTED
    except BaseException:  # noqa: BLE001 - the lab meets it again, and tells it
        pass
    finally:
        with contextlib.suppress(BaseException):
            end_descendants(os.getpid())
        with contextlib.suppress(BaseException):
            os.write(writing, said)
        os._exit(ChildExit.DONE)
