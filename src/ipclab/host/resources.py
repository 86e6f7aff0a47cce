"""The cost of a process: its CPU clock and its memory, read from outside while it works."""

from __future__ import annotations

import os
import platform
import resource
import time
from collections.abc import Iterable
from pathlib import Path

import psutil

_LINUX: bool = platform.system() == "Linux"


def cpu_s(pid: int) -> float | None:
    """Return the CPU seconds, user and system, of all threads of this process so far; None if it is gone.

    On Linux they come from the process's own CPU clock, in nanoseconds (see clock_getcpuclockid(3): the
    clock's number is made from the pid); elsewhere from psutil, in hundredths of a second.
    """
    try:
        if _LINUX:
            return time.clock_gettime_ns((~pid << 3) | 2) / 1e9
        times = psutil.Process(pid).cpu_times()
    except (OSError, psutil.Error):
        return None
    return float(times.user + times.system)


def queued_s(pid: int) -> float | None:
    """Return the seconds that the threads of this process were ready and waited for a processor, so far.

    They come from the second field of Linux's schedstat, which no library offers; None elsewhere, or if the
    process is gone.
    """
    try:
        stats = [(task / "schedstat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return None
    return sum(int(stat.split()[1]) for stat in stats) / 1e9


def machine_cpu_s() -> float | None:
    """Return the CPU seconds that all processes have used so far on the processors that this one may use.

    Time that a hypervisor took away is included. Time in interrupts is not, because no process has it on its
    clock. In hundredths of a second; None where the system does not report it.
    """
    try:
        lines = Path("/proc/stat").read_text().splitlines()
        mine = {f"cpu{number}" for number in os.sched_getaffinity(0)}
        found = [line.split() for line in lines if line.startswith("cpu")]
        ticks = [int(f[1]) + int(f[2]) + int(f[3]) + int(f[8]) for f in found if f[0] in mine]
    except (OSError, AttributeError, IndexError, ValueError):
        return None
    return sum(ticks) / os.sysconf("SC_CLK_TCK") if ticks else None


def descendants(pid: int) -> list[psutil.Process]:
    """Return all descendants of this process, ended or not. Takes milliseconds."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def stranger(pids: Iterable[int], of: int) -> int | None:
    """Return the first of these processes that runs and that ``of`` has not started; None where all were.

    Started by it is also what was started by a process that it has started. One that is gone is no stranger.
    """
    for pid in pids:
        try:
            ancestors = [parent.pid for parent in psutil.Process(pid).parents()]
        except psutil.NoSuchProcess:
            continue
        except psutil.Error:
            return pid
        if of not in ancestors:
            return pid
    return None


def rss_bytes(pid: int) -> int | None:
    """Return the resident memory now; None if the process is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return None


def own_peak_rss_bytes() -> int:
    """Return the peak resident memory of the calling process."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak * 1024 if _LINUX else peak)


def cores() -> int:
    """Return the number of processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
