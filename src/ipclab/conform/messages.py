"""Messages that can be told apart, and that tell who sent them and when."""

from __future__ import annotations

import random
import struct

from ipclab.trial.message import SMALLEST_BYTES

_HEADER = struct.Struct(">HI")


def body(producer: int, sequence: int, size_bytes: int = SMALLEST_BYTES) -> bytes:
    """Return the message of this producer with this number; by default one that every channel carries."""
    filler = random.Random(f"{producer}/{sequence}").randbytes(size_bytes - _HEADER.size)
    return _HEADER.pack(producer, sequence) + filler


def bodies(producer: int, count: int, first: int = 0) -> list[bytes]:
    """Return this many messages of this producer, in order."""
    return [body(producer, sequence) for sequence in range(first, first + count)]


def sequences(received: list[bytes], producer: int) -> list[int]:
    """Return the numbers of this producer's messages, in the order in which they were received."""
    read = [_HEADER.unpack_from(message) for message in received]
    return [sequence for sender, sequence in read if sender == producer]
