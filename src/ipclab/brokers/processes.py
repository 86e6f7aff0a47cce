"""Server processes: started in a session of their own, known by their identity, ended as a whole.

A server is the leader of its session, so the session's number finds everything that it starts. Because a pid
alone may be recycled, a process is only touched when its identity matches (see ``host.identity``). Nothing
here keeps a thread or a handle, so all of it survives a fork and works on the servers of a dead lab.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import psutil

from ipclab.brokers import programs
from ipclab.brokers.base import Usage
from ipclab.host import identity, resources
from ipclab.host.identity import ProcessId, identify, this_process

__all__ = ["ProcessId", "identify", "this_process"]

_END_WITHIN_S = 10.0
_POLL_S = 0.01


def spawn(
    argv: Sequence[str], *, folder: Path, log: Path, env: Mapping[str, str], dies_with_caller: bool = False
) -> ProcessId:
    """Start a program as the leader of a new session, in ``folder``, its output appended to ``log``.

    A signal from the terminal does not reach it. It outlives the caller unless it is ended;
    ``dies_with_caller`` makes Linux kill it when the caller is gone, however that ended. This holds for
    callers that are the main thread of their process, because the kernel watches the thread.
    """
    command = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(folder), *argv]
    if dies_with_caller and _can_die_with_caller():
        command = [*programs.DIES_WITH_PARENT, str(os.getpid()), str(folder), *argv]
    pid = os.posix_spawn(
        command[0],
        command,
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


def _can_die_with_caller() -> bool:
    return sys.platform == "linux" and threading.current_thread() is threading.main_thread()


def is_alive(process: ProcessId) -> bool:
    """Return whether this very process still runs; reap it if it ended and was our child.

    Return False for a process of another PID namespace: check ``identity.is_foreign`` before you conclude
    that it is dead.
    """
    if not identity.exists(process):
        return False
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(process.pid, os.WNOHANG)[0] == process.pid:
            return False
    found = _find(process)
    return found is not None and _runs(found)


def members(leader: ProcessId) -> list[psutil.Process]:
    """Return the running processes of the session that ``leader`` started, itself included, and its
    descendants.

    The session still includes processes whose parent has died. The descendants include those with a session
    of their own, such as Erlang's helpers.
    """
    process = _find(leader)
    if process is None and (psutil.pid_exists(leader.pid) or not _is_of_here(leader)):
        return []  # the pid is recycled, which the kernel only does once the whole session is gone
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
    """Return the running processes of the server with this home: they work in it, and have it as ``HOME``.

    A user's shell in that folder has another ``HOME``. Redis writes its title over its environment, so it has
    none to read.
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


def terminate(leaders: Sequence[ProcessId], within_s: float, number: signal.Signals = signal.SIGTERM) -> None:
    """Ask these processes to end with a signal, and kill what is left of their sessions after ``within_s``.

    Only the leaders are asked: a server ends its helpers itself, and in its own order.
    """
    for leader in leaders:
        found = _find(leader)
        if found is not None and is_alive(leader):
            with contextlib.suppress(psutil.NoSuchProcess):
                found.send_signal(number)
    send(leaders, signal.SIGCONT)
    deadline = time.monotonic() + within_s
    while any(members(leader) for leader in leaders) and time.monotonic() < deadline:
        time.sleep(_POLL_S)
    end(leaders)


def end(leaders: Sequence[ProcessId], folder: Path | None = None) -> bool:
    """Kill these sessions, and other processes of the server in ``folder``; wait until they are gone and
    reaped, and return whether they are.

    They are killed and not asked to end, because the data of a server of the lab is deleted with it.
    """
    found: list[psutil.Process] = []
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
    return not found


def usage(leaders: Iterable[ProcessId]) -> Usage | None:
    """Return CPU time, memory and run-queue wait of these sessions; None where all of them are gone."""
    cpu_s, rss_bytes, queued_s, found = 0.0, 0, 0.0, False
    for leader in leaders:
        for process in members(leader):
            with contextlib.suppress(psutil.Error, OSError):
                times = process.cpu_times()
                own_s = _cpu_clock_s(process.pid)
                cpu_s += times.user + times.system if own_s is None else own_s
                cpu_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
                rss_bytes += process.memory_info().rss
                queued_s += resources.queued_s(process.pid) or 0.0
                found = True
    return Usage(cpu_s, rss_bytes, queued_s) if found else None


def _find(process: ProcessId) -> psutil.Process | None:
    with contextlib.suppress(psutil.Error):
        found = psutil.Process(process.pid)
        if identity.exists(process):
            return found
    return None


def _is_of_here(process: ProcessId) -> bool:
    """Return whether its session can still have members here: not for another boot or PID namespace."""
    return process.boot == identity.boot() and process.namespace == identity.namespace()


def _runs(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.Error):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


def _cpu_clock_s(pid: int) -> float | None:
    """Return the CPU clock of another process in steps of 1 ns, not psutil's 10 ms; Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    with contextlib.suppress(OSError):
        return time.clock_gettime_ns((~pid) << 3 | 2) / 1e9
    return None
