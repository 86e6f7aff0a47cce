"""The limits that the system sets to the processes of the lab: CPU time, memory, processes, files, /dev/shm.

A container has such limits, and so may a service or a session. Control groups of version 1 and 2 are read. A
limit of a group above the lab's own counts as well, where it is visible; inside a container it is not.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
_NO_LIMIT_BYTES = 1 << 60
"""Version 1 shows no limit as a number near 2**63."""


def cpu_limit() -> float | None:
    """Return how many cores' worth of CPU time the lab may use; None for no limit that is visible."""
    found = []
    for folder in _folders("cpu"):
        quota, period = (
            _words(folder / "cpu.max")
            or (
                *_words(folder / "cpu.cfs_quota_us")[:1],
                *_words(folder / "cpu.cfs_period_us")[:1],
            )
            or ("max", "1")
        )
        if quota not in ("max", "-1"):
            found.append(int(quota) / int(period))
    return round(min(found), 2) if found else None


def process_limit() -> int | None:
    """Return how many processes and threads the lab's control group may have; None for no visible limit."""
    found = [_words(folder / "pids.max")[:1] for folder in _folders("pids")]
    return min((int(words[0]) for words in found if words and words[0] != "max"), default=None)


def memory_limit_bytes() -> int | None:
    """Return how much memory the lab's control group may use; None for no visible limit."""
    found = [
        (_words(folder / "memory.max") or _words(folder / "memory.limit_in_bytes"))[:1]
        for folder in _folders("memory")
    ]
    limits = (int(words[0]) for words in found if words and words[0] != "max")
    return min((limit for limit in limits if limit < _NO_LIMIT_BYTES), default=None)


def open_files() -> int | None:
    """Return how many files one process may have open; None for no limit."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def shared_memory_bytes() -> int | None:
    """Return the size of /dev/shm, where shared memory lies; None where there is none."""
    try:
        stat = os.statvfs("/dev/shm")
    except OSError:
        return None
    return stat.f_frsize * stat.f_blocks


def _folders(controller: str) -> Iterator[Path]:
    """Return the folders of the lab's control groups for this controller, from its own to the root."""
    try:
        lines = _MEMBERSHIP.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        root = _ROOT / controller if controllers else _ROOT
        own = root / path.lstrip("/")
        # In a container the group's path may be that of the host, while the mounted root is the container's.
        while own != root:
            if own.is_dir():
                yield own
            own = own.parent
        yield root


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []
