"""Which processes have a pipe, a socket or a locked file open, from /proc."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ipclab.stuck.facts import Ends

_ACCESS = 0o3
_WRITES, _BOTH = 1, 2


def all_pids() -> list[int]:
    """Return every process of this machine that the caller can see."""
    return sorted(int(name) for name in os.listdir("/proc") if name.isdecimal())


def of(inodes: Iterable[str], peers: dict[str, str]) -> dict[str, Ends]:
    """Return the ends of these pipes and sockets. ``peers`` has the other end of a socket.

    A process that the caller may not read is missing; of a pipe that only such processes write to, no writer
    is found.
    """
    wanted = set(inodes)
    others = {peers[inode]: inode for inode in wanted if inode in peers}
    readers: dict[str, set[int]] = defaultdict(set)
    writers: dict[str, set[int]] = defaultdict(set)
    pipes: set[str] = set()
    for pid in all_pids():
        for fd, kind, inode in _open_files(pid):
            if kind == "pipe" and inode in wanted:
                pipes.add(inode)
                access = _access(pid, fd)
                if access != _WRITES:
                    readers[inode].add(pid)
                if access in (_WRITES, _BOTH):
                    writers[inode].add(pid)
            elif kind == "socket" and inode in others:
                readers[others[inode]].add(pid)
                writers[others[inode]].add(pid)
    return {
        inode: Ends(
            tuple(sorted(readers[inode])), tuple(sorted(writers[inode])), inode in pipes or inode in peers
        )
        for inode in wanted
    }


def lock_holders(inodes: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Return by inode the processes that have the file open with a lock on it, also one they inherited."""
    wanted = set(inodes)
    found: dict[str, set[int]] = {inode: set() for inode in wanted}
    for pid in all_pids() if wanted else ():
        for fd in _fds(pid):
            try:
                inode = str(os.stat(f"/proc/{pid}/fd/{fd}").st_ino)
                if inode in wanted and "\nlock:" in Path(f"/proc/{pid}/fdinfo/{fd}").read_text():
                    found[inode].add(pid)
            except OSError:
                continue
    return {inode: tuple(sorted(pids)) for inode, pids in found.items()}


def _fds(pid: int) -> list[str]:
    try:
        return os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return []


def _open_files(pid: int) -> Iterable[tuple[str, str, str]]:
    for fd in _fds(pid):
        try:
            kind, _, inode = os.readlink(f"/proc/{pid}/fd/{fd}").partition(":[")
        except OSError:
            continue
        if inode:
            yield fd, kind, inode.rstrip("]")


def _access(pid: int, fd: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines()
    except OSError:
        return 0
    flags = next((line.split()[1] for line in lines if line.startswith("flags:")), "0")
    return int(flags, 8) & _ACCESS
