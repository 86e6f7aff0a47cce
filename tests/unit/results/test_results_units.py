"""Numbers with units: no more digits than they bear, and nothing that reads as more or less than it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.results import units


@pytest.mark.parametrize(
    ("per_s", "spread", "shown"),
    [
        (123_456, 0.01, "123 k/s"),
        (123_456, 0.2, "120 k/s"),
        (123_456, None, "120 k/s"),
        (1_234_567, 0.01, "1.23 M/s"),
        (999_600, 0.01, "1.00 M/s"),
        (999.6, 0.2, "1.0 k/s"),
        (4.5678, 0.01, "4.57 /s"),
        (0, None, "0 /s"),
    ],
)
def test_rates_have_a_unit_and_no_more_digits_than_they_bear(per_s, spread, shown):
    assert units.rate(per_s, spread) == shown


@pytest.mark.parametrize(
    ("ns", "spread", "shown"),
    [
        (450, 0.5, "450 ns"),
        (45_123, 0.01, "45.1 µs"),
        (1_234_000, 0.01, "1.23 ms"),
        (2.5e9, None, "2.5 s"),
        (-5, None, "-5.0 ns"),
    ],
)
def test_times_have_a_unit(ns, spread, shown):
    assert units.duration(ns, spread) == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0, "0%"), (1e-9, "<0.01%"), (0.004, "0.40%"), (0.331, "33%"), (1, "100%"), (0.99999, "99.99%")],
)
def test_what_is_not_nothing_never_reads_as_nothing_nor_a_part_as_all(share, shown):
    assert units.percent(share) == shown


@given(st.floats(min_value=1e-3, max_value=1e12), st.sampled_from([2, 3]))
def test_a_number_is_off_by_its_last_digit_at_most(value, digits):
    assert float(units.number(value, digits)) == pytest.approx(value, rel=0.5 * 10 ** (1 - digits) + 1e-9)


@given(st.floats(min_value=1, max_value=1e12))
def test_a_rate_never_shows_a_thousand_of_a_smaller_unit(per_s):
    if per_s < 9e11:
        assert float(units.rate(per_s, 0.01).split()[0]) < 1000


@pytest.mark.parametrize(
    ("bytes_", "shown"), [(64, "64 B"), (1024, "1 KiB"), (65536, "64 KiB"), (1536 * 1024, "1.5 MiB")]
)
def test_sizes_are_in_binary_units(bytes_, shown):
    assert units.size(bytes_) == shown


@given(st.integers(1, 10**12))
def test_a_bound_is_never_shown_smaller_than_it_is(ns):
    number, unit = units.bound(ns).removeprefix("±").split(" ")
    factor = {"ns": 1, "µs": 10**3, "ms": 10**6, "s": 10**9}[unit]
    assert ns * 0.999999 <= float(number) * factor <= ns * 1.1 + 1


def test_a_bound_of_nothing_has_no_unit():
    assert units.bound(0) == "±0"
