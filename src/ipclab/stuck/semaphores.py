"""Who holds a semaphore of multiprocessing, from the memory of the processes that have it.

Each process has an object for it, ``SemLock``, which counts how often this process has acquired it more than
released it. The system knows no owner of a semaphore, so this is the only place where one is written down.
CPython 3.11 to 3.14 lay out the object in the same way: handle, last thread, count, largest value, kind.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from ipclab.stuck.facts import Semaphore
from ipclab.stuck.tasks import mappings, memory

_OBJECT = struct.Struct("=QQiii")
_MOST_BYTES = 512 << 20
"""Memory of one process that is searched; the owners of a larger one stay unknown."""
_CHUNK_BYTES = 8 << 20


def find(key: str, pids: Iterable[int]) -> Semaphore:
    """Return the semaphore of this key, as ``tasks.wait()`` names it, among these processes."""
    inode, _, offset = key.partition("+")
    value, at_most, known = 0, 0, True
    users, holders = [], []
    for pid in pids:
        maps = mappings(pid)
        address = next((m[0] + int(offset) - m[2] for m in maps if m[3] == int(inode)), None)
        if address is None:
            continue
        users.append(pid)
        value = struct.unpack("=I", memory(pid, address, 4) or b"\0\0\0\0")[0]
        counted = _count(pid, address, maps)
        if counted is None:
            known = False
            continue
        count, most = counted
        at_most = max(at_most, most)
        if count > 0:
            holders.append(pid)
    return Semaphore(value, at_most, tuple(users), tuple(holders), known)


def _count(pid: int, address: int, maps: list[tuple[int, int, int, int, str]]) -> tuple[int, int] | None:
    """Return this process's count and the largest value; None where it has no such object."""
    needle = struct.pack("=Q", address)
    private = [(start, end) for start, end, _, inode, path in maps if not inode and not path.startswith("[v")]
    if sum(end - start for start, end in private) > _MOST_BYTES:
        return None
    total, largest = 0, 0
    for start, end in private:
        for at in range(start, end, _CHUNK_BYTES):
            raw = memory(pid, at, min(_CHUNK_BYTES + _OBJECT.size - 8, end - at))
            found = raw.find(needle)
            while found >= 0:
                if found % 8 == 0 and len(raw) >= found + _OBJECT.size:
                    _, _, count, most, kind = _OBJECT.unpack_from(raw, found)
                    if kind in (0, 1) and most >= 1 and abs(count) < 1 << 20 and count <= most:
                        total, largest = total + count, max(largest, most)
                found = raw.find(needle, found + 1)
    return (total, largest) if largest else None
