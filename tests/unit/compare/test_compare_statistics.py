"""The shift of two samples and its interval are what textbooks say."""

from __future__ import annotations

import math
import random

import pytest

from ipclab.compare import statistics as ranked

CHANCE = random.Random(13)


def samples(n: int, m: int) -> tuple[list[float], list[float]]:
    return [CHANCE.lognormvariate(0, 0.3) for _ in range(n)], [
        CHANCE.lognormvariate(0.2, 0.3) for _ in range(m)
    ]


@pytest.mark.parametrize(("n", "m"), [(6, 6), (10, 10), (10, 20)])
def test_the_interval_excludes_no_change_exactly_where_the_test_is_significant(n: int, m: int) -> None:
    seen = set()
    for _ in range(60):
        old, new = samples(n, m)
        shift = ranked.log_shift(old, new)
        significant = shift.p < ranked.ALPHA
        assert significant == (not shift.low <= 0 <= shift.high)
        assert shift.low <= shift.estimate <= shift.high
        seen.add(significant)
    assert seen == {True, False}


def test_the_estimate_is_the_median_of_the_differences_of_all_pairs() -> None:
    shift = ranked.log_shift([1.0, math.e], [math.e**2, math.e**4])
    assert shift.estimate == pytest.approx(2.5)


def test_too_few_values_have_no_interval() -> None:
    shift = ranked.log_shift([1.0, 2.0, 3.0], [4.0, 5.0, 6.0])
    assert (shift.low, shift.high) == (-math.inf, math.inf)


@pytest.mark.parametrize("bad", [[], [0.0, 1.0], [-1.0]])
def test_what_has_no_logarithm_is_refused(bad: list[float]) -> None:
    with pytest.raises(ValueError, match=r"shift|logarithm"):
        ranked.log_shift(bad, [1.0])


def test_holm_multiplies_the_smallest_most_and_never_falls() -> None:
    assert ranked.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert ranked.holm([0.9, 0.8]) == [1.0, 1.0]
    assert ranked.holm([]) == []


def test_the_floor_is_the_95th_percentile_of_the_pairs() -> None:
    floor = ranked.floor_of([100.0, 100.0, 100.0, 100.0, 110.0])
    assert floor == pytest.approx(math.log(1.1))
    assert ranked.floor_of([100.0]) is None
    assert ranked.floor_of([100.0, 0.0]) is None


def test_the_interval_of_a_median_needs_six_values_and_covers_95_percent() -> None:
    assert ranked.median_interval([1.0, 2, 3, 4, 5]) is None
    assert ranked.median_interval([6.0, 2, 3, 4, 5, 1]) == (1.0, 6.0)
    assert ranked.median_interval([float(i) for i in range(1, 11)]) == (2.0, 9.0)


def test_what_no_number_of_such_repeats_could_show_is_not_called_visible() -> None:
    assert ranked.visible(0.05, 0.05, tests=1, repeats=(6, 6)) is not None
    assert ranked.visible(0.05, 0.05, tests=40, repeats=(6, 6)) is None
    assert ranked.visible(math.inf, 0.05, tests=1, repeats=(10, 10)) is None
