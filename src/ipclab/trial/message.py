"""The format of a message, by which each one can be accounted for.

A body is a header of 16 bytes, ``crc32 (4) | producer (2) | trial (2) | sequence (8)``, little endian, and a
tail. ``trial`` is a mark of the trial: a message that an earlier trial left behind has another mark, however
small the message is. The tail is a producer's own block of pseudo-random bytes, the same in each of its
messages. The CRC covers tail, producer, trial and sequence. Since the tail comes first in the CRC, its cost
is the same for 64 bytes and for 64 KiB. A consumer compares length and tail byte by byte and logs the header.
It logs a small body whole, so that only its length is compared on arrival. The CRC, and the tail that was
logged, are verified after the window: together that covers every byte of the body.

A body carries no time: all processes of a trial share one clock. Producers log when they sent which sequence,
consumers log when they received it, and the analysis joins the two.
"""

from __future__ import annotations

import binascii
import functools
import random
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

HEADER = np.dtype([("crc", "<u4"), ("producer", "<u2"), ("trial", "<u2"), ("sequence", "<u8")])
HEADER_BYTES = HEADER.itemsize
SMALLEST_BYTES = HEADER_BYTES
MOST_PRODUCERS = 255
"""The hot loop finds a producer's tail by the first byte of its index; 255 stands for the lab itself."""

STOP = b"stop" + bytes([MOST_PRODUCERS]) + b"ipclab-stop"
"""The body that tells a consumer to end. It is not a message of the trial and is never counted.

It has the length of a header, and in the place of the producer a byte that no producer has. None of its bytes
is NUL or white space, so a channel that strips or pads bodies with these keeps it unchanged."""

NO_HEADER = b"\xff" * HEADER_BYTES
"""Logged instead of the header where the rest of a body is not what was sent; no producer has its number."""

_NOBODYS_TAIL = b"no body ends with these bytes, so that the check sends it the slow way"


def tail(seed: int | str, producer: int, size_bytes: int) -> bytes:
    """Return the tail of this producer's messages, for a body of ``size_bytes`` in all.

    Each trial uses its own seed, so that a message that another trial left behind is recognised as foreign.
    """
    if size_bytes < SMALLEST_BYTES:
        raise ValueError(f"a message has at least {SMALLEST_BYTES} bytes, not {size_bytes}")
    return random.Random(f"{seed}/{producer}").randbytes(size_bytes - HEADER_BYTES)


def trial_mark(content: str) -> int:
    """Return the mark of the trial with this seed text: a 16-bit CRC of the text.

    The names of consecutive trials of a run differ in their last digits, so their marks always differ: this
    CRC separates any two texts that differ within two neighbouring bytes.
    """
    return binascii.crc_hqx(content.encode(), 0)


def is_stop(body: bytes) -> bool:
    """Return whether this is the stop message, also where a channel has padded it with NUL bytes."""
    return body.rstrip(b"\0") == STOP


def tails_by_first_byte(tails: list[bytes]) -> tuple[bytes, ...]:
    """Return 256 tails, indexed by ``body[4]``; an unused index has a tail that no body ends with."""
    return (*tails, *[_NOBODYS_TAIL] * (256 - len(tails)))


class Stamper:
    """Makes the bodies of one producer in batches, which costs a fiftieth of making each by itself."""

    def __init__(
        self, producer: int, body_tail: bytes, most: int, trial: int = 0, *, headers_only: bool = False
    ) -> None:
        """Set up. ``most`` is the largest number of bodies per call, ``trial`` is the mark of the trial.

        With ``headers_only`` the bodies lack the tail, which the CRC still covers; the caller appends it.
        """
        size_bytes = HEADER_BYTES + (0 if headers_only else len(body_tail))
        block = np.zeros((most, size_bytes), np.uint8)
        if not headers_only:
            block[:, HEADER_BYTES:] = np.frombuffer(body_tail, np.uint8)
        self._bodies = block.view(f"V{size_bytes}").reshape(most)
        self._headers = np.ndarray(most, HEADER, block, strides=(size_bytes,))
        self._headers["producer"], self._headers["trial"] = producer, trial
        self._tail_crc = zlib.crc32(body_tail)
        self._of_low_word = _contributions()[_LOW_WORD]
        self._upper, self._crc_of_upper = -1, np.uint32(0)

    def stamp(self, first: int, count: int) -> list[bytes]:
        """Return ``count`` bodies with the sequences from ``first`` on."""
        upper, low = divmod(first, 1 << 16)
        fit = (1 << 16) - low
        if count > fit:
            return self.stamp(first, fit) + self.stamp(first + fit, count - fit)
        if upper != self._upper:
            self._headers["sequence"][0] = first - low
            self._upper, self._crc_of_upper = upper, header_crcs(self._headers[:1], self._tail_crc)[0]
        headers = self._headers[:count]
        headers["sequence"] = np.arange(first, first + count, dtype=np.uint64)
        # Only the low word of the sequence differs within a batch, so only it changes the CRC.
        headers["crc"] = self._of_low_word[low : low + count] ^ self._crc_of_upper
        bodies: list[bytes] = self._bodies[:count].tolist()
        return bodies


class Originals:
    """The messages of a trial as they were sent, to recognise anything else."""

    def __init__(self, tails: Sequence[bytes], trial: int = 0) -> None:
        """Set up. ``tails`` are those of the producers, by index; ``trial`` is the mark of the trial."""
        self._tail_crcs = np.zeros(1 << 16, np.uint32)
        self._tail_crcs[: len(tails)] = [zlib.crc32(own_tail) for own_tail in tails]
        self._tails = tails
        self._trial = trial

    def are_intact(self, receipts: npt.NDArray[np.void]) -> npt.NDArray[np.bool_]:
        """Return a mask of the receipts whose message is exactly what a producer sent in this trial.

        The tail is compared where the log has kept it.
        """
        header = np.ascontiguousarray(receipts["header"])
        producer = header["producer"]
        intact: npt.NDArray[np.bool_] = header["trial"] == self._trial
        intact &= header["crc"] == header_crcs(header, self._tail_crcs[producer])
        if "tail" in (receipts.dtype.names or ()):
            tails = np.frombuffer(b"".join(self._tails), receipts.dtype["tail"])
            intact &= receipts["tail"] == tails[np.minimum(producer, len(tails) - 1)]
        return intact


def stamp(producer: int, first: int, count: int, body_tail: bytes, trial: int = 0) -> bytes:
    """Return ``count`` concatenated bodies with the sequences from ``first`` on."""
    return b"".join(Stamper(producer, body_tail, count, trial).stamp(first, count))


def header_crcs(
    headers: npt.NDArray[np.void], tail_crc: int | npt.NDArray[np.uint32]
) -> npt.NDArray[np.uint32]:
    """Return the CRC-32 (that of zlib) that each header should carry, continued from the CRC of its tail.

    A CRC is linear: that of a header is that of 12 zero bytes in its place, XORed with the contribution of
    each 16-bit word, which a table holds.
    """
    words = np.ascontiguousarray(headers).view("<u2").reshape(-1, HEADER_BYTES // 2)[:, _CRC_BYTES // 2 :]
    tables = _contributions()
    crcs = np.empty(len(headers), np.uint32)
    if isinstance(tail_crc, int):
        crcs[:] = zlib.crc32(bytes(_COVERED_BYTES), tail_crc)
    else:
        crcs[:] = zlib.crc32(bytes(_COVERED_BYTES))
        crcs ^= tables[0][tail_crc & np.uint32(0xFFFF)]
        crcs ^= tables[1][tail_crc >> np.uint32(16)]
    for table, column in zip(tables[2:], words.T, strict=True):
        if column.any():
            crcs ^= table[column]
    return crcs


_CRC_BYTES = HEADER["crc"].itemsize
_COVERED_BYTES = HEADER_BYTES - _CRC_BYTES
_LOW_WORD = 2 + (HEADER.fields["sequence"][1] - _CRC_BYTES) // 2  # type: ignore[index]
"""The index in ``_contributions()`` of the low word of the sequence."""


@functools.cache
def _contributions() -> tuple[npt.NDArray[np.uint32], ...]:
    """Return the contribution of each 16-bit word to the CRC: the two halves of the tail's CRC, then the
    header's words.

    The tail's CRC acts like four more bytes in front, which overlap the first four covered bytes: adding it
    to the register equals adding it to those bytes.
    """
    one_byte = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        one_byte = np.where(one_byte & 1, (one_byte >> 1) ^ np.uint32(0xEDB88320), one_byte >> 1).astype(
            np.uint32
        )
    by_byte = [one_byte]
    for _ in range(_COVERED_BYTES - 1):
        by_byte.insert(0, (by_byte[0] >> np.uint32(8)) ^ one_byte[by_byte[0] & np.uint32(0xFF)])
    word = np.arange(1 << 16)
    by_word = [
        low[word & 0xFF] ^ high[word >> 8] for low, high in zip(by_byte[::2], by_byte[1::2], strict=True)
    ]
    return (*by_word[:2], *by_word)
