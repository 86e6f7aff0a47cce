"""Segments of shared memory that no resource tracker knows.

A tracker of one worker would unlink segments that others still use when that worker ends. ``host.segments``
finds the segments of the lab that were left, by their names.
"""

from __future__ import annotations

import errno
import os
import sys
from multiprocessing import shared_memory
from multiprocessing.shared_memory import SharedMemory

from ipclab.errors import ChannelError


class _NoTracker:
    """In the place of ``multiprocessing.resource_tracker`` within ``shared_memory``, before Python 3.13."""

    @staticmethod
    def register(_name: str, _kind: str) -> None:
        """Do nothing."""

    @staticmethod
    def unregister(_name: str, _kind: str) -> None:
        """Do nothing."""


def untracked(name: str, size_bytes: int = 0) -> SharedMemory:
    """Return a segment that no resource tracker knows: a new one of this size, or with 0 an existing one.

    Raise FileNotFoundError or FileExistsError.
    """
    if sys.version_info >= (3, 13):
        return SharedMemory(name, create=size_bytes > 0, size=size_bytes, track=False)
    # The class has no such option yet, and looks up the tracker in its own module at each call.
    before = shared_memory.resource_tracker  # type: ignore[attr-defined]
    shared_memory.resource_tracker = _NoTracker  # type: ignore[attr-defined]
    try:
        return SharedMemory(name, create=size_bytes > 0, size=size_bytes)
    finally:
        shared_memory.resource_tracker = before  # type: ignore[attr-defined]


def unlink(segment: SharedMemory) -> None:
    """Delete a segment of ``untracked()``. Raise FileNotFoundError."""
    if sys.version_info >= (3, 13):
        segment.unlink()
        return
    before = shared_memory.resource_tracker  # type: ignore[attr-defined]
    shared_memory.resource_tracker = _NoTracker  # type: ignore[attr-defined]
    try:
        segment.unlink()
    finally:
        shared_memory.resource_tracker = before  # type: ignore[attr-defined]


def memory(segment: SharedMemory) -> memoryview:
    """Return the memory of an open segment."""
    found = segment.buf
    assert found is not None, "the segment is open"
    return found


def reserve(segment: SharedMemory, size_bytes: int, what: str) -> None:
    """Get the memory now: without room, the first write to a page would kill the process (SIGBUS).

    Raise ChannelError, in which ``what`` is the use of the memory, where there is no room.
    """
    try:
        os.posix_fallocate(segment._fd, 0, size_bytes)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ChannelError(
            f"no room in /dev/shm for {what} of {size_bytes} bytes: enlarge it "
            "(docker run --shm-size), or use less"
        ) from error
