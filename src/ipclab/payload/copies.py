"""How often a codec copies an array: measured once, beside the trial and not in its time.

The number is the memory that encoding and decoding take, by ``tracemalloc``, in sizes of the array.
It can be a fraction, because the buffer of a pickle grows while it is written. It has nothing of what the
channel itself copies, such as a pipe into the kernel and out of it.
"""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Callable
from typing import Any

from ipclab.payload import codecs
from ipclab.payload.kinds import kind_of, split
from ipclab.payload.kinds.base import STAMP_BYTES

LARGEST_BYTES = 4 << 20
"""The size of the array on which a larger one is measured; the number does not depend on it."""
SMALLEST_BYTES = 64 << 10
"""Below this size the headers of objects are a large part of the memory, so nothing is said."""
_FAMILIES = ("ndarray", "dataframe")
_AS_QUEUES_DO = "pickle"


def count_copies(payload: str, codec: str, size_bytes: int) -> float | None:
    """Return how many copies of an array are made by encoding and decoding it, with one decimal.

    With an empty codec the channel takes the object, and pickles it as multiprocessing does. Return None for
    a payload that is not an array, or too small to tell. Uses ``tracemalloc``, so no other thread should run.
    """
    if split(payload).family not in _FAMILIES or size_bytes < SMALLEST_BYTES:
        return None
    size_bytes = min(size_bytes, LARGEST_BYTES)
    (content,) = kind_of(payload).contents(size_bytes, 1, "copies")
    codec_of = codecs.make(codec or _AS_QUEUES_DO, payload, f"ipclab-copies-{os.getpid()}")
    message = content.sealed(bytes(STAMP_BYTES))
    encoded, encoding_bytes = _peak_of(lambda: codec_of.encode(message))
    # No view may be left of a segment that is released.
    decoding_bytes = _peak_of(lambda: codec_of.decode(encoded))[1]
    if codec_of.release is not None:
        codec_of.release()
    return round((encoding_bytes + decoding_bytes + codec_of.copied_bytes()) / size_bytes, 1)


def _peak_of(call: Callable[[], Any]) -> tuple[Any, int]:
    """Return what the call returned, and the most memory in bytes that it held at a time."""
    tracemalloc.start()
    try:
        return call(), tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
