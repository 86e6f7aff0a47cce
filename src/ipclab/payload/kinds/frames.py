"""``dataframe``: tables of pandas, which need not be installed for anything else."""

from __future__ import annotations

import random
import zlib
from typing import Any

import numpy as np

from ipclab.errors import UsageError
from ipclab.payload.kinds.base import Content, Stamp
from ipclab.payload.sizes import Size, draw

_ROW_BYTES = 24
"""Three columns of 8 bytes each."""


class _FrameContent:
    def __init__(self, frame: Any) -> None:
        self._frame = frame
        data = b"".join(frame[name].to_numpy().tobytes() for name in frame.columns)
        self.checksum = zlib.crc32(data).to_bytes(4, "little")

    def sealed(self, stamp: Stamp) -> Any:
        frame = self._frame.copy()
        frame.attrs["stamp"] = stamp.hex()
        return frame

    def sealed_in_place(self, stamp: Stamp) -> Any:
        self._frame.attrs["stamp"] = stamp.hex()
        return self._frame

    def is_in(self, message: Any) -> bool:
        return type(message) is type(self._frame) and bool(message.equals(self._frame))


class FrameKind:
    """Tables with a column of times, one of whole numbers and one of floats; the stamp is an attribute.

    Raises UsageError where pandas is not installed.
    """

    name = "dataframe"
    smallest_bytes = _ROW_BYTES
    largest_bytes: int | None = None

    def __init__(self) -> None:
        try:
            import pandas
        except ImportError:
            raise UsageError("a dataframe needs pandas: pip install 'ipclab[payload]'") from None
        self._pandas = pandas

    def contents(self, size: Size, count: int, seed: str) -> list[Content]:
        sizes = draw(size, count, seed)
        return [_FrameContent(self._frame(f"{seed}/{i}", one)) for i, one in enumerate(sizes)]

    def stamp_of(self, message: Any) -> Stamp:
        return bytes.fromhex(message.attrs["stamp"])

    def _frame(self, seed: str, size_bytes: int) -> Any:
        rows = max(size_bytes // _ROW_BYTES, 1)
        chance = np.random.default_rng(random.Random(seed).getrandbits(64))
        return self._pandas.DataFrame(
            {
                "at": np.datetime64("2026-01-01", "ns") + np.sort(chance.integers(0, 10**15, rows)),
                "key": chance.integers(0, 10**9, rows),
                "value": chance.random(rows),
            }
        )
