"""How payloads carry the ledger's header, and how a receiver recognises a changed one.

A trial stamps a header of 16 bytes for each message: checksum, producer, trial, sequence (see
``ipclab.trial.message``). A sealed payload has that header and the CRC-32 of its content inside. Each
producer has one content or, for a range of sizes, several, in an order that its receivers know. So a receiver
compares the whole object with the one that was sent under this sequence.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any

from ipclab.payload.kinds import kind_of
from ipclab.payload.kinds.base import STAMP_BYTES, Content, Kind
from ipclab.payload.sizes import Size, SizeRange

HEADER_BYTES = 16
_ORDER = struct.Struct("<4xH2xQ")
"""Producer and sequence in a header."""
DAMAGED = b"damaged"
"""Returned in place of a header where the object is not the one that was sent. No header is so short."""
MOST_CONTENTS = 64
MOST_CONTENT_BYTES = 64 * 2**20
"""Of all contents of one producer together, unless a single message has more."""


def contents(kind: Kind, size: Size, seed: str, producer: int) -> list[Content]:
    """Return the contents of this producer, in the order of its messages: the first follows on the last."""
    many = isinstance(size, SizeRange)
    largest = size.largest_bytes if isinstance(size, SizeRange) else size
    count = max(2, min(MOST_CONTENTS, MOST_CONTENT_BYTES // largest)) if many else 1
    return kind.contents(size, count, f"{seed}/payload/{producer}")


def sealer(payload: str, size: Size, seed: str, producer: int, *, in_place: bool) -> Callable[[bytes], Any]:
    """Return a function from a header of this producer to the payload that carries it.

    With ``in_place``, the payload is only valid until the next call.
    """
    made = contents(kind_of(payload), size, seed, producer)
    count, sequence_of = len(made), _ORDER.unpack
    seals = [(c.sealed_in_place if in_place else c.sealed, c.checksum) for c in made]
    if count == 1:
        ((seal_one, checksum),) = seals
        return lambda header: seal_one(header + checksum)

    def seal(header: bytes) -> Any:
        seal_it, its_checksum = seals[sequence_of(header)[1] % count]
        return seal_it(header + its_checksum)

    return seal


class Opener:
    """The receiving end of ``sealer()``, for all producers of a trial. Not thread-safe."""

    def __init__(self, payload: str, size: Size, seed: str, producers: int) -> None:
        self._kind = kind_of(payload)
        self._contents: Sequence[list[Content]] = [
            contents(self._kind, size, seed, producer) for producer in range(producers)
        ]

    def header_of(self, message: Any) -> bytes:
        """Return the header that this payload carries, ``DAMAGED`` where the payload has changed.

        The message may be changed by the call. Raise any exception where it is no payload at all.
        """
        stamp = self._kind.stamp_of(message)
        producer, sequence = _ORDER.unpack_from(stamp)
        of_producer = self._contents[producer]
        content = of_producer[sequence % len(of_producer)]
        intact = len(stamp) == STAMP_BYTES and stamp[HEADER_BYTES:] == content.checksum
        return stamp[:HEADER_BYTES] if intact and content.is_in(message) else DAMAGED
