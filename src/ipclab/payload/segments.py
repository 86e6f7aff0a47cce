"""The codec ``shm``: an array lies in ``multiprocessing.shared_memory``, the channel carries its name.

The sender makes a segment for each message and closes it. The receiver attaches, uses the array where it
lies, and unlinks the segment. No resource tracker knows of it: a tracker of one worker would unlink segments
that are still on their way when that worker ends. ``host.segments`` finds the ones that nobody received.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from multiprocessing import shared_memory
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import numpy.typing as npt

from ipclab.errors import ChannelError

_LENGTHS = struct.Struct("<BBQ")


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


class SegmentCodec:
    """Sends arrays by segments whose names begin with ``owner``. Not thread-safe.

    ``copied_bytes`` is what it has copied into segments.
    """

    def __init__(self, owner: str) -> None:
        self._owner = owner
        self._count = 0
        self.copied_bytes = 0
        self._open: SharedMemory | None = None

    def encode(self, array: npt.NDArray[Any]) -> bytes:
        """Copy the array into a new segment; return its name, dtype and shape as bytes.

        Raise ChannelError where there is no room in ``/dev/shm``.
        """
        name = f"{self._owner}-{self._count:x}"
        self._count += 1
        segment = untracked(name, array.nbytes)
        try:
            _reserve(segment, array.nbytes)
            # No view may be left of a segment that is closed.
            np.frombuffer(_memory(segment), array.dtype, array.size)[:] = array
            self.copied_bytes += array.nbytes
        except BaseException:
            unlink(segment)
            raise
        finally:
            segment.close()
        told = name.encode()
        kind: bytes = array.dtype.str.encode()
        head = _LENGTHS.pack(len(told), len(kind), array.size)
        return head + told + kind

    def decode(self, body: bytes) -> npt.NDArray[Any]:
        """Return the array in its segment, usable until ``release()``.

        Raise FileNotFoundError where the segment was unlinked, as by another receiver of the same message.
        """
        name_bytes, kind_bytes, size = _LENGTHS.unpack_from(body)
        at = _LENGTHS.size
        name = body[at : at + name_bytes].decode()
        kind = body[at + name_bytes : at + name_bytes + kind_bytes].decode()
        self._open = untracked(name)
        return np.frombuffer(_memory(self._open), np.dtype(kind), size)

    def release(self) -> None:
        """Close and unlink the segment of the last array, of which no view may be left."""
        segment, self._open = self._open, None
        if segment is not None:
            unlink(segment)
            segment.close()


def _memory(segment: SharedMemory) -> memoryview:
    memory = segment.buf
    assert memory is not None, "the segment is open"
    return memory


def _reserve(segment: SharedMemory, size_bytes: int) -> None:
    """Get the memory now: without room, the first write to a page would kill the process (SIGBUS)."""
    try:
        os.posix_fallocate(segment._fd, 0, size_bytes)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise ChannelError(
            f"no room in /dev/shm for an array of {size_bytes} bytes: enlarge it "
            "(docker run --shm-size), or send smaller arrays"
        ) from error
