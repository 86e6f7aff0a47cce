"""Sizes as users write them."""

from __future__ import annotations

import math
import statistics

import pytest

from ipclab.errors import UsageError
from ipclab.payload.sizes import Size, SizeRange, Sizes, draw, parse


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("64", 64),
        ("1KiB", 1024),
        ("20k", 20_000),
        ("20kB", 20_000),
        ("2M", 2_000_000),
        ("1.5 kb", 1500),
        ("1GiB", 2**30),
        ("2KiB-20KiB", SizeRange(2048, 20480)),
        ("2k - 20k", SizeRange(2000, 20_000)),
        ("1KiB-1024", 1024),
        ("64,1KiB", Sizes((64, 1024))),
        ("64, 1k-2k", Sizes((64, SizeRange(1000, 2000)))),
        ("64,64", 64),
    ],
)
def test_a_size_is_a_value_a_range_or_a_list_with_decimal_and_binary_units(
    text: str, size: Size | Sizes
) -> None:
    assert parse(text) == size


@pytest.mark.parametrize("text", ["", "x", "0", "1KiB,", "20KiB-2KiB", "-5", "1-2-3", "3 apples"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="size"):
        parse(text)


@pytest.mark.parametrize("text", ["1500", "2048-20480", "64,1024-2048"])
def test_the_text_of_sizes_is_read_as_the_same_sizes(text: str) -> None:
    assert str(parse(text)) == text


def test_the_sizes_of_a_range_are_spread_evenly_over_its_logarithm() -> None:
    sizes = draw(SizeRange(1024, 16 * 1024), 64, "seed")
    assert all(1024 <= size <= 16 * 1024 for size in sizes)
    assert sizes != sorted(sizes)
    # Half of them are below the geometric mean: each slice of the logarithm has one.
    assert sum(size < 4096 for size in sizes) == 32
    assert math.isclose(statistics.median(sizes), 4096, rel_tol=0.1)


def test_the_same_seed_draws_the_same_sizes_and_another_one_others() -> None:
    size = SizeRange(100, 10_000)
    assert draw(size, 8, "a") == draw(size, 8, "a") != draw(size, 8, "b")
