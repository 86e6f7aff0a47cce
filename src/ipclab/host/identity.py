"""The identity of a process in a record: different from a later process with the same pid, and from one of
another machine.

It does not use the wall clock. A step of that clock (NTP, a virtual machine that resumes) changes the
creation time that the system computes for every process, so that no process would match its record.
"""

from __future__ import annotations

import contextlib
import functools
import os
from pathlib import Path

import msgspec
import psutil

_START_TICKS_FIELD = 19
"""Field 22 of ``/proc/PID/stat``, counted from after the name of the program."""
_TICKS_PER_S = 100


class ProcessId(msgspec.Struct, frozen=True):
    """A process, as every process of the same PID namespace knows it.

    ``start_ticks`` is the start of the process in clock ticks since the machine booted. ``boot`` identifies
    that boot, ``namespace`` the PID and time namespaces in which ``pid`` and ``start_ticks`` are valid, and
    ``host`` is the name of the machine. Where the system has no ``/proc``, ``start_ticks`` comes from the
    creation time, and ``boot`` and ``namespace`` are empty.
    """

    pid: int
    start_ticks: int
    boot: str
    namespace: str
    host: str


def this_process() -> ProcessId:
    """Return the identity of the calling process."""
    return identify(os.getpid())


def identify(pid: int) -> ProcessId:
    """Return the identity of the process that has this pid now. Raise psutil.NoSuchProcess."""
    ticks = start_ticks(pid)
    if ticks is None:
        raise psutil.NoSuchProcess(pid)
    return ProcessId(pid, ticks, boot(), namespace(), os.uname().nodename)


def start_ticks(pid: int) -> int | None:
    """Return the start of a process in clock ticks since the boot, None where there is no such process."""
    if Path("/proc/self/stat").exists():
        try:
            text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            return int(text.rpartition(")")[2].split()[_START_TICKS_FIELD])
        except (OSError, IndexError, ValueError):
            return None
    with contextlib.suppress(psutil.Error):
        return round(psutil.Process(pid).create_time() * _TICKS_PER_S)
    return None


def is_foreign(process: ProcessId) -> bool:
    """Return whether this machine cannot tell if the process runs, because it is of another PID namespace or
    of another machine. A process of an earlier boot of this machine is not foreign: it is gone."""
    if process.boot == boot():
        return process.namespace != namespace()
    return process.host != os.uname().nodename


def exists(process: ProcessId) -> bool:
    """Return whether this very process is in the process table, also as a zombie. False for a foreign one."""
    return (
        process.boot == boot()
        and process.namespace == namespace()
        and start_ticks(process.pid) == process.start_ticks
    )


@functools.cache
def boot() -> str:
    """Return the identifier of the boot of this machine; empty where the system has none."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def namespace() -> str:
    """Return the identifier of the caller's PID and time namespaces; empty where there are none."""
    return _namespace_of(os.getpid())


@functools.lru_cache(maxsize=4)
def _namespace_of(_pid: int) -> str:
    """Return the PID and time namespaces of this process; the pid is the cache key, so a child asks again."""
    found = []
    for kind in ("pid", "time"):
        with contextlib.suppress(OSError):
            found.append(str(Path(f"/proc/self/ns/{kind}").readlink()))
    return " ".join(found)
