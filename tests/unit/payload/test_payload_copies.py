"""How often a codec copies an array."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipclab.payload.copies import count_copies

MIB = 1 << 20


def counted(codec: str, size_bytes: int = MIB) -> float:
    found = count_copies("ndarray:float64", codec, size_bytes)
    assert found is not None
    return found


def test_protocol_5_copies_an_array_once_where_a_plain_pickle_copies_it_at_least_twice() -> None:
    assert counted("pickle5") == pytest.approx(1, abs=0.2)
    assert counted("pickle") >= 2


def test_a_channel_that_takes_objects_pickles_them() -> None:
    assert counted("") == counted("pickle")


def test_an_array_in_shared_memory_is_copied_once_and_leaves_no_segment() -> None:
    before = set(Path("/dev/shm").iterdir())
    assert counted("shm") == pytest.approx(1, abs=0.2)
    assert set(Path("/dev/shm").iterdir()) - before == set()


def test_the_number_does_not_depend_on_the_size() -> None:
    assert counted("pickle5", 128 * 1024) == pytest.approx(counted("pickle5", 64 * MIB), abs=0.2)


@pytest.mark.parametrize(("payload", "size_bytes"), [("dict", MIB), ("ndarray:float64", 1024)])
def test_nothing_is_said_of_what_is_no_array_or_too_small(payload: str, size_bytes: int) -> None:
    assert count_copies(payload, "pickle", size_bytes) is None
