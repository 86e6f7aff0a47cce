"""Messages of bytes over a stream: each has its length before it, in four bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

_LENGTH = struct.Struct("!I")
MOST_BYTES = 2**26
"""The largest message. More announces another protocol, such as a text that a login shell prints."""


def framed(message: bytes) -> bytes:
    """Return the message with its length before it."""
    return _LENGTH.pack(len(message)) + message


class Reader:
    """Cuts a stream into messages. Raise ValueError where it carries something else."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take in a piece of the stream, and yield the messages that it completes."""
        rest = self._rest
        rest += data
        while len(rest) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest)
            if length > MOST_BYTES:
                raise ValueError(f"a message of {length} bytes")
            end = _LENGTH.size + length
            if len(rest) < end:
                return
            message = bytes(rest[_LENGTH.size : end])
            del rest[:end]
            yield message
