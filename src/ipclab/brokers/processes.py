"""Server processes: started in a session of their own, known by pid and time of creation, ended as a whole.

A server is the leader of its session, so everything that it starts is found by the session's number; and
since a pid alone may be recycled, a process is only ever touched when its time of creation fits as well.
Nothing here keeps a thread or a handle, so all of it survives a fork and works on the servers of a lab that
is gone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec
import psutil

from ipclab.brokers.base import Usage

# The time of creation is computed from the boot time, which is only good to a second.
_SAME_CREATION_S = 1.5
_END_WITHIN_S = 10.0
_POLL_S = 0.01


class ProcessId(msgspec.Struct, frozen=True):
    """A process, told from a later one with the same pid by the Unix time at which it was created."""

    pid: int
    created_at_s: float


def this_process() -> ProcessId:
    """The calling process."""
    return identify(os.getpid())


def identify(pid: int) -> ProcessId:
    """The process that has this pid now. Raises psutil.NoSuchProcess."""
    return ProcessId(pid, psutil.Process(pid).create_time())


def spawn(argv: Sequence[str], *, folder: Path, log: Path, env: Mapping[str, str]) -> ProcessId:
    """Start a program as the leader of a new session, in ``folder``, its output appended to ``log``.

    A signal from the terminal does not reach it. It outlives the caller unless it is ended.
    """
    pid = os.posix_spawn(
        "/bin/sh",
        ["sh", "-c", 'cd "$0" && exec "$@"', str(folder), *argv],
        env,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGINT],
    )
    return identify(pid)


def is_alive(process: ProcessId) -> bool:
    """Whether this very process still runs; one that ended and was our child is reaped."""
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(process.pid, os.WNOHANG)[0] == process.pid:
            return False
    found = _find(process)
    return found is not None and _runs(found)


def members(leader: ProcessId) -> list[psutil.Process]:
    """The running processes of the session that ``leader`` started, itself included, and its descendants.

    The session holds on to those whose parent has died; the descendants are those with a session of their
    own, as Erlang's helpers have.
    """
    process = _find(leader)
    if process is None and psutil.pid_exists(leader.pid):
        return []  # recycled, which the kernel only does once the whole session is gone
    found = set()
    with contextlib.suppress(psutil.Error):
        if process is not None:
            found.update(process.children(recursive=True))
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader.pid:
                found.add(psutil.Process(pid))
    return [member for member in found if _runs(member)]


def inside(folder: Path) -> list[psutil.Process]:
    """The running processes of the server whose home this folder is: they work in it, and say so.

    A user's shell that was taken there has another ``HOME``. Redis writes its title over its environment, and
    has none left to see.
    """
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if process.pid == os.getpid() or not Path(process.cwd()).is_relative_to(folder):
                continue
            environment = process.environ()
            if not environment or environment.get("HOME") == str(folder):
                found.append(process)
    return found


def send(leaders: Iterable[ProcessId], number: signal.Signals) -> None:
    """Send a signal to every process of these sessions."""
    for leader in leaders:
        for process in members(leader):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)


def terminate(leaders: Sequence[ProcessId], within_s: float) -> None:
    """Ask these processes to end (SIGTERM), and kill what is left of their sessions after ``within_s``.

    Only the leaders are asked: a server ends its helpers itself, and in its own order.
    """
    for leader in leaders:
        found = _find(leader)
        if found is not None and is_alive(leader):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.terminate()
    send(leaders, signal.SIGCONT)
    deadline = time.monotonic() + within_s
    while any(members(leader) for leader in leaders) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    end(leaders)


def end(leaders: Sequence[ProcessId], folder: Path | None = None) -> None:
    """Kill these sessions, and what else of the server in ``folder`` works there; return once they are gone
    and reaped.

    Killed rather than asked: the data of a server of the lab is thrown away with it.
    """
    deadline = time.monotonic() + _END_WITHIN_S
    while time.monotonic() < deadline:
        found = [process for leader in leaders for process in members(leader)]
        if folder is not None:
            found += inside(folder)
        if not found:
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        time.sleep(_POLL_S)
    for leader in leaders:
        is_alive(leader)


def usage(leaders: Iterable[ProcessId]) -> Usage | None:
    """CPU time and resident memory of these sessions; None when all of them are gone."""
    cpu_s, rss_bytes, found = 0.0, 0, False
    for leader in leaders:
        for process in members(leader):
            with contextlib.suppress(psutil.Error, OSError):
                times = process.cpu_times()
                own_s = _cpu_clock_s(process.pid)
                cpu_s += times.user + times.system if own_s is None else own_s
                cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                rss_bytes += process.memory_info().rss
                found = True
    return Usage(cpu_s, rss_bytes) if found else None


def _find(process: ProcessId) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(process.pid)
        if abs(found.create_time() - process.created_at_s) < _SAME_CREATION_S:
            return found
    return None


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _cpu_clock_s(pid: int) -> float | None:
    """The CPU clock of another process, in nanosecond steps where psutil's are of 10 ms; Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError):
        return time.clock_gettime_ns((~pid) << 3 | 2) / 1e9
    return None
