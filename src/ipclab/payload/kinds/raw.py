"""``bytes`` where the plain loops do not fit: with a codec, or with sizes from a range."""

from __future__ import annotations

import random
from typing import Any

from ipclab.payload.kinds.base import STAMP_BYTES, Content, Stamp
from ipclab.payload.kinds.jobs import crc
from ipclab.payload.sizes import Size, draw


class _BytesContent:
    def __init__(self, tail: bytes) -> None:
        self._tail = tail
        self._length = STAMP_BYTES + len(tail)
        self.checksum = crc(tail)

    def sealed(self, stamp: Stamp) -> bytes:
        return stamp + self._tail

    sealed_in_place = sealed

    def is_in(self, message: Any) -> bool:
        # Both ends of a comparison by ``endswith`` are compared where they lie; a slice would be a copy.
        return (
            type(message) is bytes
            and len(message) == self._length
            and self._tail.endswith(memoryview(message)[STAMP_BYTES:])
        )


class BytesKind:
    """Pseudo-random bytes."""

    name = "bytes"
    smallest_bytes = STAMP_BYTES
    largest_bytes: int | None = None

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        sizes = draw(size, count, seed)
        return [
            _BytesContent(random.Random(f"{seed}/{i}").randbytes(size_bytes - STAMP_BYTES))
            for i, size_bytes in enumerate(sizes)
        ]

    def stamp_of(self, message: Any) -> Stamp:
        return bytes(message[:STAMP_BYTES])
