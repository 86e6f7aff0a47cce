"""The codec ``shm``: an array lies in ``multiprocessing.shared_memory``, the channel carries its name.

The sender makes a segment for each message and closes it. The receiver attaches, uses the array where it
lies, and unlinks the segment. No resource tracker knows of it: a tracker of one worker would unlink segments
that are still on their way when that worker ends. ``host.segments`` finds the ones that nobody received.
"""

from __future__ import annotations

import struct
from multiprocessing.shared_memory import SharedMemory
from typing import Any

import numpy as np
import numpy.typing as npt

from ipclab.host.shared_memory import memory, reserve, unlink, untracked

_LENGTHS = struct.Struct("<BBQ")


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
            reserve(segment, array.nbytes, "an array")
            # No view may be left of a segment that is closed.
            np.frombuffer(memory(segment), array.dtype, array.size)[:] = array
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
        return np.frombuffer(memory(self._open), np.dtype(kind), size)

    def release(self) -> None:
        """Close and unlink the segment of the last array, of which no view may be left."""
        segment, self._open = self._open, None
        if segment is not None:
            unlink(segment)
            segment.close()
