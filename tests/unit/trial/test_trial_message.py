"""What a message is made of: every byte of it can be verified, and none is taken for the stop signal."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.trial.message import (
    HEADER_BYTES,
    MOST_PRODUCERS,
    SMALLEST_BYTES,
    STOP,
    Stamper,
    stamp,
    tail,
    tails_by_first_byte,
)

producers = st.integers(0, MOST_PRODUCERS - 1)
sizes = st.integers(SMALLEST_BYTES, 300)
sequences = st.integers(0, 2**63)


def cut(block: bytes, size: int) -> list[bytes]:
    return [body for (body,) in struct.iter_unpack(f"{size}s", block)]


@given(producer=producers, first=sequences, count=st.integers(1, 20), size=sizes, seed=st.integers())
def test_stamped_bodies_say_who_sent_them_and_in_what_order(
    producer: int, first: int, count: int, size: int, seed: int
) -> None:
    own_tail = tail(seed, producer, size)
    bodies = cut(stamp(producer, first, count, own_tail), size)
    assert len(bodies) == count
    for number, body in enumerate(bodies):
        _, who, kind, sequence = struct.unpack("<IHHQ", body[:HEADER_BYTES])
        assert (who, kind, sequence) == (producer, 0, first + number)
        assert body[HEADER_BYTES:] == own_tail


@given(producer=producers, first=sequences, size=sizes, seed=st.integers())
def test_the_checksum_is_zlibs_over_the_tail_and_then_the_header(
    producer: int, first: int, size: int, seed: int
) -> None:
    own_tail = tail(seed, producer, size)
    (body,) = cut(stamp(producer, first, 1, own_tail), size)
    (checksum,) = struct.unpack_from("<I", body)
    assert checksum == zlib.crc32(own_tail + body[4:HEADER_BYTES])


@given(producer=producers, before=st.integers(1, 5), word=st.integers(1, 2**40))
def test_what_was_stamped_before_makes_no_difference(producer: int, before: int, word: int) -> None:
    own_tail = tail(1, producer, 64)
    used = Stamper(producer, own_tail, 10)
    first = (word << 16) - before  # the low word of the sequence overflows within the block
    for earlier in (0, first - 10, first):
        used.stamp(earlier, 10)
    assert b"".join(used.stamp(first, 10)) == stamp(producer, first, 10, own_tail)
    for body in used.stamp(first, 10):
        assert int.from_bytes(body[:4], "little") == zlib.crc32(own_tail + body[4:HEADER_BYTES])


@given(producer=producers, first=sequences, size=sizes)
def test_no_message_is_ever_the_stop_signal(producer: int, first: int, size: int) -> None:
    bodies = cut(stamp(producer, first, 10, tail(1, producer, size)), size)
    assert STOP not in bodies


def test_a_stop_signal_ends_with_the_tail_of_no_producer_of_longer_messages() -> None:
    tails = [tail(1, producer, 64) for producer in range(MOST_PRODUCERS)]
    assert not STOP.endswith(tails_by_first_byte(tails)[STOP[4]])


@given(seed=st.integers(), size=st.integers(SMALLEST_BYTES + 16, 200))
def test_each_producer_has_a_tail_of_its_own(seed: int, size: int) -> None:
    tails = {tail(seed, producer, size) for producer in range(MOST_PRODUCERS)}
    assert len(tails) == MOST_PRODUCERS


@given(producer=producers, size=sizes, seed=st.integers())
def test_a_tail_is_the_same_in_every_process_and_fills_the_message(
    producer: int, size: int, seed: int
) -> None:
    assert tail(seed, producer, size) == tail(seed, producer, size)
    assert len(tail(seed, producer, size)) + HEADER_BYTES == size


def test_another_seed_gives_other_tails() -> None:
    assert tail(1, 0, 64) != tail(2, 0, 64)


def test_a_message_smaller_than_its_header_is_refused() -> None:
    with pytest.raises(ValueError, match=f"at least {SMALLEST_BYTES} bytes"):
        tail(1, 0, SMALLEST_BYTES - 1)


@given(count=st.integers(1, 16))
def test_the_first_byte_of_the_index_finds_the_producers_tail(count: int) -> None:
    tails = [tail(3, producer, 48) for producer in range(count)]
    by_first_byte = tails_by_first_byte(tails)
    assert len(by_first_byte) == 256
    assert list(by_first_byte[:count]) == tails
    assert not any(stray in tails for stray in by_first_byte[count:])
