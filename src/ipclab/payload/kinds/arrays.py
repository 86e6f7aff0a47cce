"""``ndarray:DTYPE``: one-dimensional numpy arrays.

The stamp lies in the first bytes of the array and again in the last ones. An array that changes while it is
being copied has different stamps at its two ends, or another content between them.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from ipclab.errors import UsageError
from ipclab.payload.kinds.base import STAMP_BYTES, Content, Stamp
from ipclab.payload.sizes import Size, draw

DEFAULT = "float64"
_NUMERIC = "iuf"
_LONGEST_DTYPE = 16


class _ArrayContent:
    def __init__(self, array: npt.NDArray[Any]) -> None:
        self._array = array
        self._view = _bytes_of(array)
        self._middle = bytes(self._view[STAMP_BYTES:-STAMP_BYTES])
        self.checksum = zlib.crc32(self._middle).to_bytes(4, "little")

    def sealed(self, stamp: Stamp) -> npt.NDArray[Any]:
        array = self._array.copy()
        view = _bytes_of(array)
        view[:STAMP_BYTES] = view[-STAMP_BYTES:] = stamp
        return array

    def sealed_in_place(self, stamp: Stamp) -> npt.NDArray[Any]:
        self._view[:STAMP_BYTES] = self._view[-STAMP_BYTES:] = stamp
        return self._array

    def is_in(self, message: Any) -> bool:
        if type(message) is not np.ndarray or message.dtype != self._array.dtype:
            return False
        if message.shape != self._array.shape or not message.flags.c_contiguous:
            return False
        view = _bytes_of(message)
        # ``endswith`` compares where both lie; to make a ``bytes`` of the view would be a copy.
        return bool(view[:STAMP_BYTES] == view[-STAMP_BYTES:]) and self._middle.endswith(
            view[STAMP_BYTES:-STAMP_BYTES]
        )


class ArrayKind:
    """Arrays of one dtype of whole or floating-point numbers. Raises UsageError for any other dtype."""

    largest_bytes: int | None = None

    def __init__(self, dtype: str) -> None:
        try:
            self.dtype = np.dtype(dtype)
        except TypeError:
            raise UsageError(
                f"{dtype!r} is no dtype of numpy; write ndarray:float64 or ndarray:int32"
            ) from None
        if self.dtype.kind not in _NUMERIC or not self.dtype.isnative or self.dtype.itemsize > _LONGEST_DTYPE:
            raise UsageError(f"an array payload has numbers, such as ndarray:float64, not {dtype}")
        self.name = f"ndarray:{self.dtype.name}"
        # Two stamps, rounded up to whole elements.
        self.smallest_bytes = -(-2 * STAMP_BYTES // self.dtype.itemsize) * self.dtype.itemsize

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        sizes = draw(size, count, seed)
        return [_ArrayContent(self._array(f"{seed}/{i}", one)) for i, one in enumerate(sizes)]

    def stamp_of(self, message: Any) -> Stamp:
        return bytes(_bytes_of(message)[:STAMP_BYTES])

    def _array(self, seed: str, size_bytes: int) -> npt.NDArray[Any]:
        """Return an array of this size, rounded down to whole elements."""
        elements = max(size_bytes, self.smallest_bytes) // self.dtype.itemsize
        chance = np.random.default_rng(random.Random(seed).getrandbits(64))
        if self.dtype.kind == "f":
            return chance.random(elements).astype(self.dtype)
        return np.frombuffer(chance.bytes(elements * self.dtype.itemsize), self.dtype).copy()


def _bytes_of(array: npt.NDArray[Any]) -> memoryview:
    return array.view(np.uint8).data
