"""Distributions: exact percentiles that really occurred, withheld where too few samples stand behind them."""

from __future__ import annotations

import itertools
import re

import numpy as np
import numpy.typing as npt
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from ipclab.results.rows.row import Percentiles
from ipclab.trial.distribution import excursions, merge, roughly, summarize
from ipclab.trial.record import PERCENTILES, Distribution

THOUSANDTHS = {"p50_ns": 500, "p90_ns": 900, "p99_ns": 990, "p999_ns": 999}
NEEDED = {"p50_ns": 20, "p90_ns": 100, "p99_ns": 1000, "p999_ns": 10_000}
an_hour_ns = 3_600_000_000_000

samples = st.lists(st.integers(-1_000, an_hour_ns), min_size=1, max_size=200)


def of(values: list[int]) -> Distribution:
    found = summarize(np.array(values, np.int64))
    assert found is not None
    return found


def total(shown: Distribution) -> int:
    return int(HdrHistogram.decode(shown.histogram).get_total_count())


@pytest.mark.parametrize("count", [10_000, 10_001, 12_345, 20_000, 99_999])
def test_a_percentile_is_the_smallest_sample_that_so_many_do_not_exceed(count: int) -> None:
    values = np.random.default_rng(count).lognormal(11, 1, count).astype(np.int64)
    found = summarize(values)
    assert found is not None
    for name, thousandths in THOUSANDTHS.items():
        rank = -(-count * thousandths // 1000)
        assert getattr(found, name) == np.sort(values)[rank - 1]
    assert (found.count, found.min_ns, found.max_ns) == (count, values.min(), values.max())


def test_percentiles_are_those_of_numpy() -> None:
    values = np.random.default_rng(5).integers(0, 10**9, 12_345)
    found = summarize(values)
    assert found is not None
    for name, thousandths in THOUSANDTHS.items():
        assert getattr(found, name) == np.percentile(values, thousandths / 10, method="inverted_cdf")


@pytest.mark.parametrize(("name", "needed"), NEEDED.items())
def test_a_percentile_wants_ten_samples_beyond_it(name: str, needed: int) -> None:
    assert getattr(of(list(range(needed))), name) is not None
    assert getattr(of(list(range(needed - 1))), name) is None


@pytest.mark.parametrize(("name", "needed"), NEEDED.items())
def test_a_merged_percentile_wants_ten_samples_beyond_it_too(name: str, needed: int) -> None:
    enough = merge([of(list(range(needed // 2)))] * 2)
    too_few = merge([of(list(range(needed // 2))), of(list(range(needed // 2 - 1)))])
    assert enough is not None
    assert too_few is not None
    assert getattr(enough, name) is not None
    assert getattr(too_few, name) is None


def test_no_samples_have_no_distribution() -> None:
    assert summarize(np.array([], np.int64)) is None
    assert merge([]) is None


@given(values=samples)
def test_every_sample_is_counted_and_the_negative_ones_apart(values: list[int]) -> None:
    found = of(values)
    assert found.count == len(values)
    assert found.negative == sum(value < 0 for value in values)
    assert (found.min_ns, found.max_ns) == (min(values), max(values))
    assert total(found) == found.count - found.negative


def test_negative_samples_do_not_pull_the_percentiles_down() -> None:
    found = of([-1] * 100 + [1000] * 100)
    assert found.p50_ns == 1000
    assert found.negative == 100


def test_a_distribution_of_negative_samples_alone_has_no_percentiles() -> None:
    found = of([-5] * 100)
    assert (found.count, found.negative, found.p50_ns, found.max_ns) == (100, 100, None, -5)
    merged = merge([found, found])
    assert merged is not None
    assert (merged.count, merged.negative, merged.p50_ns) == (200, 200, None)


@given(parts=st.lists(samples, min_size=1, max_size=4))
def test_merging_is_the_same_as_having_measured_it_all_at_once(parts: list[list[int]]) -> None:
    merged = merge([of(part) for part in parts])
    whole = of(list(itertools.chain(*parts)))
    assert merged is not None
    assert (merged.count, merged.negative) == (whole.count, whole.negative)
    assert (merged.min_ns, merged.max_ns) == (whole.min_ns, whole.max_ns)
    assert HdrHistogram.decode(merged.histogram).get_total_count() == total(whole)
    for name in THOUSANDTHS:
        exact, read_off = getattr(whole, name), getattr(merged, name)
        assert (exact is None) == (read_off is None)
        if exact is not None:
            # Three significant digits, and the histogram begins at 1 ns.
            assert read_off == pytest.approx(max(exact, 1), rel=1e-3)


@given(parts=st.lists(samples, min_size=2, max_size=4))
def test_merging_does_not_depend_on_the_order(parts: list[list[int]]) -> None:
    found = [of(part) for part in parts]
    one, other = merge(found), merge(list(reversed(found)))
    assert one is not None
    assert other is not None
    assert [getattr(one, n) for n in THOUSANDTHS] == [getattr(other, n) for n in THOUSANDTHS]


def test_samples_that_never_ended_push_the_percentiles_up() -> None:
    found = of(range(1, 10_001))
    among = merge([found], never=500)
    assert among is not None
    assert among.count == 10_000
    assert among.p50_ns == pytest.approx(5250, rel=1e-3)
    assert among.p90_ns == pytest.approx(9450, rel=1e-3)
    assert (among.p99_ns, among.p999_ns) == (None, None)


@given(values=samples, never=st.integers(0, 300))
def test_a_percentile_with_samples_that_never_ended_is_that_of_all_where_it_can_be_told(
    values: list[int], never: int
) -> None:
    known = [abs(value) for value in values]
    whole = of([*known, *[an_hour_ns] * never])
    among = merge([of(known)], never=never)
    assert among is not None
    for name, thousandths in THOUSANDTHS.items():
        exact, read_off = getattr(whole, name), getattr(among, name)
        if read_off is not None:
            assert read_off == pytest.approx(max(exact, 1), rel=1e-3)
        elif exact is not None:
            assert thousandths * (len(known) + never) > 1000 * len(known)


@pytest.mark.parametrize("count", range(100, 140))
def test_a_merged_percentile_is_the_same_sample_as_the_exact_one(count: int) -> None:
    found = of(range(1, count + 1))
    merged = merge([found])
    assert merged is not None
    assert (merged.p50_ns, merged.p90_ns) == (found.p50_ns, found.p90_ns)


@given(values=samples)
def test_the_histogram_is_what_recording_each_sample_gives(values: list[int]) -> None:
    plain = HdrHistogram(1, an_hour_ns, 3)
    for value in values:
        if value >= 0:
            plain.record_value(max(value, 1))
    kept = HdrHistogram.decode(of(values).histogram)
    assert kept.get_total_count() == plain.get_total_count()
    for percentile in (1, 25, 50, 75, 99, 100):
        assert kept.get_value_at_percentile(percentile) == plain.get_value_at_percentile(percentile)


def in_order(values: npt.NDArray[np.int64]) -> Distribution:
    found = summarize(values, np.arange(len(values)))
    assert found is not None
    return found


def with_late(places: list[int], count: int = 2000) -> npt.NDArray[np.int64]:
    """Samples of about 1 ms, of which those at these places took 20 ms."""
    values = 1_000_000 + np.arange(count, dtype=np.int64) % 97
    values[places] = 20_000_000
    return values


def test_one_long_pause_is_one_excursion_however_many_samples_it_makes_late() -> None:
    paused = in_order(with_late(list(range(500, 530))))
    assert (paused.p99_ns, paused.p90_ns is not None) == (None, True)
    assert excursions([paused], 20_000_000) == 1


def test_as_many_late_samples_that_lie_apart_have_a_p99() -> None:
    apart = in_order(with_late(list(range(0, 2000, 66))))
    assert apart.p99_ns == 20_000_000
    assert excursions([apart], 20_000_000) == 31


def test_the_order_is_that_of_their_time_and_not_that_of_the_processes() -> None:
    places = list(range(0, 2000, 66))
    values = with_late(places)
    at_ns = np.arange(2000)
    late_first = np.argsort(-values, kind="stable")
    found = summarize(values[late_first], at_ns[late_first])
    assert found is not None
    assert found.p99_ns == 20_000_000


def test_a_merged_p99_counts_the_excursions_of_all_repeats() -> None:
    few = [in_order(with_late([100 * i + 7 for i in range(6)], 700)) for _ in range(3)]
    merged = merge(few)
    assert merged is not None
    assert merged.p99_ns is not None
    late_once = [with_late(list(range(10, 38)), 700), with_late([], 700), with_late([], 700)]
    once = merge([in_order(values) for values in late_once])
    assert once is not None
    assert (once.p99_ns, once.p50_ns is not None) == (None, True)


def test_samples_that_are_all_alike_have_nothing_to_stand_out_from_and_all_percentiles() -> None:
    found = in_order(np.full(20_000, 5_000))
    assert (found.p50_ns, found.p99_ns, found.p999_ns) == (5_000, 5_000, 5_000)
    merged = merge([found, found])
    assert merged is not None
    assert merged.p999_ns is not None


def test_independent_samples_of_a_narrow_distribution_keep_their_p99() -> None:
    values = 100_000 + np.random.default_rng(3).integers(0, 8_000, 4000)
    found = in_order(values)
    assert found.p99_ns is not None
    assert excursions([found], found.p99_ns) >= 30


def test_without_an_order_samples_alone_decide() -> None:
    assert of(list(range(1000))).p99_ns is not None
    assert excursions([of(list(range(1000)))], 5) is None


def test_what_tells_the_range_of_repeats_needs_fewer_samples() -> None:
    part = of(list(range(1, 301)))
    assert (part.p99_ns, roughly(part, 0.99)) == (None, 297)
    assert roughly(of(list(range(1, 299))), 0.99) is None
    assert roughly(part, 0.99, never=100) is None


@pytest.mark.parametrize("kind", [Distribution, Percentiles])
def test_every_percentile_is_a_field_and_there_is_no_other(kind: type) -> None:
    percentiles = [name for name in kind.__annotations__ if re.fullmatch(r"p\d+_ns", name)]
    assert percentiles == [f"{name}_ns" for name in PERCENTILES]


def test_each_percentile_field_is_read_off_at_its_own_share() -> None:
    values = np.arange(1, 100_001)
    for found in (summarize(values), merge(filter(None, [summarize(values)]))):
        assert found is not None
        for name, share in PERCENTILES.items():
            assert getattr(found, f"{name}_ns") == pytest.approx(share * len(values), rel=1e-3)
