"""What a message is made of, so that each one can be accounted for.

A body is a header of 16 bytes, ``crc32 (4) | producer (2) | kind (2) | sequence (8)``, little endian, and a
tail. The tail is a producer's own block of pseudo-random bytes, the same in each of its messages. The CRC
covers tail, producer, kind and sequence; since the tail comes first in it, stamping a message costs the
same for 64 bytes and for 64 KiB. A consumer compares the whole tail byte by byte and logs the header, whose
CRC is verified after the window: together that covers every byte of the body.

A body carries no time: all processes of a trial share one clock, so producers log when they sent which
sequence, consumers when they received it, and the two are joined afterwards.
"""

from __future__ import annotations

import random
import struct
import zlib

import numpy as np
import numpy.typing as npt

HEADER = np.dtype([("crc", "<u4"), ("producer", "<u2"), ("kind", "<u2"), ("sequence", "<u8")])
HEADER_BYTES = HEADER.itemsize
SMALLEST_BYTES = HEADER_BYTES
MOST_PRODUCERS = 255
"""The hot loop finds a producer's tail by the first byte of its index; 255 stands for the lab itself."""

_LAB = 255
_STOP_KIND = 1
STOP = struct.pack("<IHHQ", zlib.crc32(struct.pack("<HHQ", _LAB, _STOP_KIND, 0)), _LAB, _STOP_KIND, 0)
"""The body that tells a consumer to end. It is no message of the trial and never counted."""

_NOBODYS_TAIL = b"no body ends with these bytes, so that the check sends it the slow way"


def tail(seed: int, producer: int, size_bytes: int) -> bytes:
    """The tail of this producer's messages, for a body of ``size_bytes`` in all."""
    if size_bytes < SMALLEST_BYTES:
        raise ValueError(f"a message has at least {SMALLEST_BYTES} bytes, not {size_bytes}")
    return random.Random(f"{seed}/{producer}").randbytes(size_bytes - HEADER_BYTES)


def tails_by_first_byte(tails: list[bytes]) -> tuple[bytes, ...]:
    """256 tails, indexed by ``body[4]``; a byte that no producer has gets a tail that no body ends with."""
    return (*tails, *[_NOBODYS_TAIL] * (256 - len(tails)))


def stamp(producer: int, first: int, count: int, body_tail: bytes) -> bytes:
    """``count`` bodies with the sequences from ``first`` on, end to end in one block.

    Cut it with ``struct.Struct(f"{size}s").iter_unpack``. Done for many at once because that costs a tenth
    of doing it for each.
    """
    headers = np.zeros(count, HEADER)
    headers["producer"] = producer
    headers["sequence"] = np.arange(first, first + count, dtype=np.uint64)
    headers["crc"] = header_crcs(headers, zlib.crc32(body_tail))
    block = np.empty((count, HEADER_BYTES + len(body_tail)), np.uint8)
    block[:, :HEADER_BYTES] = headers.view(np.uint8).reshape(count, HEADER_BYTES)
    block[:, HEADER_BYTES:] = np.frombuffer(body_tail, np.uint8)
    return block.tobytes()


def header_crcs(
    headers: npt.NDArray[np.void], tail_crc: int | npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32]:
    """The CRC-32 that each header should carry, continued from the CRC of its tail.

    The table-driven algorithm of ISO-HDLC CRC-32 (as in zlib), a byte of all headers at a time.
    """
    octets = headers.view(np.uint8).reshape(len(headers), HEADER_BYTES)
    register = np.full(len(headers), tail_crc, np.uint32) ^ np.uint32(0xFFFFFFFF)
    for position in range(4, HEADER_BYTES):
        register = _CRC_TABLE[(register ^ octets[:, position]) & np.uint32(0xFF)] ^ (register >> np.uint32(8))
    return register ^ np.uint32(0xFFFFFFFF)


def _crc_table() -> npt.NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0xEDB88320), table >> 1).astype(np.uint32)
    return table


_CRC_TABLE = _crc_table()
