"""The threads of a process from /proc: whether they ran, and which system call they are in."""

from __future__ import annotations

import os
import platform
import struct
from pathlib import Path

from ipclab.stuck.facts import Call, Thing, Wait, Wants

_X86 = {
    0: "read", 19: "read", 45: "read", 47: "read", 1: "write", 20: "write", 44: "write", 46: "write",
    42: "connect", 43: "accept", 288: "accept", 7: "poll", 271: "ppoll", 23: "select", 270: "select",
    232: "epoll", 281: "epoll", 441: "epoll2", 202: "futex", 61: "wait4", 247: "waitid", 73: "flock",
    72: "fcntl", 35: "sleep", 230: "sleep", 219: "sleep", 34: "signal", 130: "signal", 128: "sigwait",
}  # fmt: skip
_ARM = {
    63: "read", 65: "read", 207: "read", 212: "read", 64: "write", 66: "write", 206: "write", 211: "write",
    203: "connect", 202: "accept", 242: "accept", 73: "ppoll", 72: "select", 22: "epoll", 441: "epoll2",
    98: "futex", 260: "wait4", 95: "waitid", 32: "flock", 25: "fcntl", 101: "sleep", 115: "sleep",
    128: "sleep", 133: "signal", 137: "sigwait",
}  # fmt: skip
_CALLS = {"x86_64": _X86, "aarch64": _ARM}
_P_PID = 1
_MOST_FDS = 4096


def tids(pid: int) -> list[int]:
    """Return the threads of a process; none where it is gone."""
    try:
        return sorted(int(name) for name in os.listdir(f"/proc/{pid}/task"))
    except OSError:
        return []


def turns(pid: int, tid: int) -> tuple[int, str]:
    """Return how often a thread gave up a processor so far, and whether it has or wants one now (``R``)."""
    try:
        lines = Path(f"/proc/{pid}/task/{tid}/status").read_text().splitlines()
    except OSError:
        return (-1, "")
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    count = sum(int(found.get(f"{kind}_ctxt_switches", 0)) for kind in ("voluntary", "nonvoluntary"))
    return count, found.get("State", " ").split()[0]


def name(pid: int, tid: int) -> str:
    """Return the system's name of a thread."""
    try:
        return Path(f"/proc/{pid}/task/{tid}/comm").read_text().strip()
    except OSError:
        return ""


def wait(pid: int, tid: int) -> Wait:
    """Return the system call that a thread is in, and what it waits for."""
    try:
        fields = Path(f"/proc/{pid}/task/{tid}/syscall").read_text().split()
    except OSError:
        return Wait("other")
    if not fields or not fields[0].isdecimal():
        return Wait("none" if fields[:1] == ["running"] else "other")
    call = _CALLS.get(platform.machine(), {}).get(int(fields[0]), "")
    args = [int(value, 16) for value in fields[1:7]]
    return _of(pid, call, args)


def _of(pid: int, call: str, args: list[int]) -> Wait:
    match call:
        case "read" | "write":
            return Wait("read" if call == "read" else "write", on=_thing(pid, args[0], call))
        case "connect":
            return Wait("other", on=(Thing("outside", "connect", "read"),))
        case "accept":
            return Wait("accept", on=(Thing("outside", "listener", "read"),))
        case "poll" | "ppoll":
            timed = _signed(args[2]) >= 0 if call == "poll" else args[2] != 0
            return Wait("poll", timed, _polled(pid, args[0], args[1]))
        case "select":
            return Wait("poll", args[4] != 0, _selected(pid, args))
        case "epoll" | "epoll2":
            timed = args[3] != 0 if call == "epoll2" else _signed(args[3]) >= 0
            return Wait("poll", timed, _epolled(pid, args[0]))
        case "futex":
            return Wait("lock", args[3] != 0, (_lock(pid, args[0]),))
        case "wait4":
            child = _signed(args[0])
            return Wait("child", on=(Thing("process", str(child) if child > 0 else "", "end"),))
        case "waitid":
            return Wait("child", on=(Thing("process", str(args[1]) if args[0] == _P_PID else "", "end"),))
        case "flock" | "fcntl":
            return Wait("flock", on=tuple(Thing("file", _inode(pid, args[0]), "release") for _ in range(1)))
        case "sleep":
            return Wait("sleep", timed=True)
        case "signal":
            return Wait("signal", on=(Thing("outside", "signal", "read"),))
        case "sigwait":
            return Wait("signal", args[2] != 0, (Thing("outside", "signal", "read"),))
        case _:
            return Wait("other")


def _signed(value: int) -> int:
    return struct.unpack("i", struct.pack("I", value & 0xFFFFFFFF))[0]  # type: ignore[no-any-return]


def _inode(pid: int, fd: int) -> str:
    try:
        found = os.stat(f"/proc/{pid}/fd/{fd}")
    except OSError:
        return ""
    return str(found.st_ino)


def _thing(pid: int, fd: int, wants: str) -> tuple[Thing, ...]:
    try:
        target = os.readlink(f"/proc/{pid}/fd/{fd}")
    except OSError:
        return (Thing("outside", f"fd {fd}", "read"),)
    way: Wants = "write" if wants == "write" else "read"
    kind, _, inode = target.partition(":[")
    if kind == "pipe":
        return (Thing("pipe", inode.rstrip("]"), way),)
    if kind == "socket":
        return (Thing("socket", inode.rstrip("]"), way),)
    if target.startswith("anon_inode:[pidfd]"):
        return (Thing("process", _pid_of(pid, fd), "end"),)
    return (Thing("outside", target, way),)


def _pid_of(pid: int, fd: int) -> str:
    try:
        lines = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split()[1] for line in lines if line.startswith("Pid:")), "")


def _polled(pid: int, address: int, count: int) -> tuple[Thing, ...]:
    found: list[Thing] = []
    raw = memory(pid, address, 8 * min(count, _MOST_FDS))
    for fd, events, _ in struct.iter_unpack("ihh", raw[: len(raw) // 8 * 8]):
        if fd >= 0:
            found += _thing(pid, fd, "read" if events & 1 or not events & 4 else "write")
    return tuple(found) or (Thing("outside", "poll", "read"),)


def _selected(pid: int, args: list[int]) -> tuple[Thing, ...]:
    found: list[Thing] = []
    for wants, address in (("read", args[1]), ("write", args[2])):
        if address:
            bits = int.from_bytes(memory(pid, address, (min(args[0], _MOST_FDS) + 63) // 64 * 8), "little")
            for fd in range(min(args[0], _MOST_FDS)):
                if bits >> fd & 1:
                    found += _thing(pid, fd, wants)
    return tuple(found) or (Thing("outside", "select", "read"),)


def _epolled(pid: int, fd: int) -> tuple[Thing, ...]:
    found: list[Thing] = []
    try:
        lines = Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        fields = line.split()
        if fields[:1] == ["tfd:"]:
            found += _thing(pid, int(fields[1]), "read" if int(fields[3], 16) & 1 else "write")
    return tuple(found) or (Thing("outside", "epoll", "read"),)


def _lock(pid: int, address: int) -> Thing:
    for start, end, offset, inode, path in mappings(pid):
        # In a container the path has another beginning.
        if start <= address < end and inode and "/sem." in path:
            return Thing("semaphore", f"{inode}+{address - start + offset}", "release")
        if start <= address < end and inode and "/dev/shm/" in path:
            return Thing("outside", path, "read")
    return Thing("lock", f"{pid}:{address:x}", "release")


def mappings(pid: int) -> list[tuple[int, int, int, int, str]]:
    """Return the memory of a process: start, end, offset, inode, path. Only what can be written counts."""
    found = []
    try:
        lines = Path(f"/proc/{pid}/maps").read_text().splitlines()
    except OSError:
        return []
    for line in lines:
        fields = line.split(maxsplit=5)
        if not fields[1].startswith("rw"):
            continue
        start, _, end = fields[0].partition("-")
        path = fields[5] if len(fields) > 5 else ""
        found.append((int(start, 16), int(end, 16), int(fields[2], 16), int(fields[4]), path))
    return found


def memory(pid: int, address: int, size: int) -> bytes:
    """Return a part of the memory of a process; empty where it cannot be read."""
    if size <= 0:
        return b""
    try:
        with open(f"/proc/{pid}/mem", "rb", buffering=0) as file:
            file.seek(address)
            return file.read(size) or b""
    except (OSError, OverflowError, ValueError):
        return b""


__all__ = ["Call", "mappings", "memory", "name", "tids", "turns", "wait"]
