"""What a few repeats are allowed to say."""

import random
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ipclab.results import stats
from ipclab.results.stats import compare, median, ranks, resolvable, separable, spread, wilson

positive = st.floats(min_value=1, max_value=1e7, allow_nan=False)
samples = st.lists(st.lists(positive, min_size=1, max_size=6), min_size=1, max_size=6)


def place(rank: str) -> int:
    return int(rank.rstrip("="))


def test_the_median_of_an_even_number_lies_between_the_two_middle_ones() -> None:
    assert median([4.0, 1.0, 3.0, 100.0]) == 3.5


def test_nothing_has_no_median() -> None:
    with pytest.raises(ValueError, match="no values"):
        median([])


def test_a_single_repeat_has_no_spread() -> None:
    assert spread([5.0]) is None


def test_the_spread_of_two_repeats_is_how_far_they_lie_from_their_middle() -> None:
    assert spread([90.0, 110.0]) == pytest.approx(0.1)


def test_the_spread_hides_no_outlier() -> None:
    assert spread([100.0, 100.0, 100.0, 100.0, 200.0]) == pytest.approx(0.5)


def test_a_median_of_zero_has_no_relative_spread() -> None:
    assert spread([0.0, 0.0, 0.0]) is None


@given(st.lists(positive, min_size=2, max_size=9), st.floats(min_value=0.1, max_value=10))
def test_the_spread_does_not_depend_on_the_unit(values, factor):
    assert spread([v * factor for v in values]) == pytest.approx(spread(values), rel=1e-6, abs=1e-9)


def test_three_repeats_against_three_can_separate_nothing() -> None:
    assert not separable(3, 3)
    assert compare([1.0, 2.0, 3.0], [100.0, 200.0, 300.0]).outcome == "not separated"
    assert compare([1.0, 2.0, 3.0], [100.0, 200.0, 300.0]).p is None


def test_four_repeats_that_all_beat_four_others_by_a_margin_are_faster() -> None:
    found = compare([110.0, 111.0, 112.0, 113.0], [100.0, 101.0, 102.0, 103.0])
    assert found.outcome == "faster"
    assert found.p == pytest.approx(2 / 70)
    assert found.effect == pytest.approx(111.5 / 101.5 - 1)


def test_a_sure_difference_that_is_too_small_is_not_claimed() -> None:
    found = compare([102.0, 103.0, 103.5, 104.0], [100.0, 100.5, 101.0, 101.5])
    assert found.p < 0.05
    assert found.outcome == "not separated"


def test_a_large_difference_of_medians_that_the_test_does_not_bear_out_is_not_claimed() -> None:
    assert (
        compare([50.0, 150.0, 160.0, 170.0, 180.0], [90.0, 95.0, 100.0, 155.0, 165.0]).outcome
        == "not separated"
    )


def test_hundreds_of_repeats_on_either_side_are_compared_too() -> None:
    many = [float(i) for i in range(300)]
    assert compare([v + 150 for v in many], many).outcome == "faster"
    assert compare(many, [v + 0.5 for v in many]).outcome == "not separated"


@pytest.mark.parametrize(
    ("repeats", "methods"), [((50, 50), []), ((51, 4), ["asymptotic"]), ((4, 51), ["asymptotic"])]
)
def test_the_normal_approximation_is_asked_only_where_there_are_many_repeats(
    repeats: tuple[int, int], methods: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def spied(a: object, b: object, **how: str) -> Any:
        asked.append(how["method"])
        return SimpleNamespace(pvalue=0.01)

    # By its name: to import it takes a second, and every worker of pytest-xdist imports this file.
    monkeypatch.setattr("scipy.stats.mannwhitneyu", spied)
    a, b = ([float(i) for i in range(n)] for n in repeats)
    compare(a, b)
    assert asked == methods


def test_no_ratio_is_given_to_a_median_of_zero() -> None:
    found = compare([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0])
    assert found.effect is None
    assert found.outcome == "faster"


@settings(deadline=None)
@given(st.lists(positive, min_size=1, max_size=6), st.lists(positive, min_size=1, max_size=6))
def test_a_is_faster_than_b_exactly_if_b_is_slower_than_a(a, b):
    opposite = {"faster": "slower", "slower": "faster", "not separated": "not separated"}
    assert compare(b, a).outcome == opposite[compare(a, b).outcome]


def test_clearly_different_samples_are_ranked_one_two_three() -> None:
    assert ranks([[10, 11, 12, 13], [1, 2, 3, 4], [100, 101, 102, 103]]) == ["2", "3", "1"]


def test_samples_that_nothing_separates_share_a_rank() -> None:
    close = [[100.0, 104.0, 108.0, 112.0], [99.0, 105.0, 107.0, 113.0]]
    assert ranks([*close, [200.0, 201.0, 202.0, 203.0]]) == ["2=", "2=", "1"]


def test_a_widely_spread_sample_is_not_ranked_below_one_that_was_never_shown_to_be_faster() -> None:
    best, second, wide = [100.0, 101.0, 102.0, 103.0], [90.0, 91.0, 92.0, 93.0], [50.0, 60.0, 110.0, 120.0]
    assert ranks([best, second, wide]) == ["1=", "2", "1="]


@settings(deadline=None, max_examples=50)
@given(samples, st.randoms(use_true_random=False))
def test_ranks_do_not_depend_on_the_order_of_the_samples(group, rng: random.Random):
    order = list(range(len(group)))
    rng.shuffle(order)
    given_ranks, shuffled = ranks(group), ranks([group[i] for i in order])
    assert shuffled == [given_ranks[i] for i in order]


@settings(deadline=None, max_examples=50)
@given(samples)
def test_a_rank_counts_the_samples_that_were_shown_to_be_faster(group):
    for mine, rank in zip(group, ranks(group), strict=True):
        assert place(rank) - 1 == sum(compare(other, mine).outcome == "faster" for other in group)


close = st.sampled_from([0.0, 1.0, 1.04, 1.05, 1.1, 1.2, 2.0, 2.1, 3.0])
tied = st.lists(st.lists(close, max_size=7), min_size=1, max_size=12)
long = st.lists(st.lists(close, min_size=49, max_size=53) | st.lists(close, max_size=2), max_size=4)


@settings(deadline=None, max_examples=200)
@given(samples | tied | long)
def test_ranks_are_those_of_a_comparison_of_each_with_each(group):
    def slower(a: list[float], b: list[float]) -> bool:
        return compare(a, b).outcome == "slower"

    places = [1 + sum(slower(mine, other) for other in group) for mine in group]
    assert ranks(group) == [f"{p}=" if places.count(p) > 1 else str(p) for p in places]


def test_samples_whose_ranges_do_not_overlap_are_not_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stats, "compare", lambda a, b: pytest.fail(f"{a} is compared with {b}"))
    group = [[1.2**i * (1 + repeat / 100) for repeat in range(5)] for i in range(100)]
    assert ranks(group) == [str(100 - i) for i in range(100)]


@settings(deadline=None, max_examples=50)
@given(samples)
def test_somebody_is_first_and_only_shared_ranks_are_marked(group):
    found = ranks(group)
    assert min(map(place, found)) == 1
    places = [place(rank) for rank in found]
    assert all(rank.endswith("=") == (places.count(place(rank)) > 1) for rank in found)


@pytest.mark.parametrize(
    ("seen", "of", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_wilson_interval_is_that_of_the_literature(seen: int, of: int, low: float, high: float) -> None:
    """Newcombe 1998, table I, method 3."""
    assert wilson(seen, of) == pytest.approx((low, high), abs=0.00005)


def test_what_was_never_seen_may_still_happen_and_what_always_was_need_not() -> None:
    assert wilson(0, 5) == (0.0, pytest.approx(0.4345, abs=0.0001))
    assert wilson(5, 5) == (pytest.approx(0.5655, abs=0.0001), 1.0)


@given(st.integers(1, 10_000), st.data())
def test_an_interval_holds_the_share_that_was_seen_and_mirrors_its_complement(of: int, data) -> None:  # type: ignore[no-untyped-def]
    seen = data.draw(st.integers(0, of))
    low, high = wilson(seen, of)
    assert 0 <= low <= seen / of <= high <= 1
    assert wilson(of - seen, of) == pytest.approx((1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize(("seen", "of"), [(3, 2), (-1, 2), (1, 0)])
def test_what_is_no_share_has_no_interval(seen: int, of: int) -> None:
    with pytest.raises(ValueError, match="is no share"):
        wilson(seen, of)


def test_the_smallest_difference_that_can_be_shown_is_shown_and_a_smaller_one_is_not() -> None:
    a, b = [95.0, 99.0, 101.0, 104.0, 110.0], [90.0, 97.0, 100.0, 103.0, 115.0]
    share = resolvable(a, b)
    assert share is not None
    assert 0.05 < share < 0.5
    level = [value * median(b) / median(a) for value in a]
    assert compare([value * (1 + share * 1.05) for value in level], b).outcome == "faster"
    either = [
        compare([value * (1 + share * 0.9) for value in one], other).outcome
        for one, other in ((level, b), ([value * median(a) / median(b) for value in b], a))
    ]
    assert "not separated" in either


def test_repeats_that_agree_resolve_five_percent_and_wide_ones_less() -> None:
    narrow = [100.0, 100.1, 100.2, 100.3, 100.4]
    assert resolvable(narrow, narrow) == pytest.approx(0.05, abs=0.005)
    wide = [50.0, 80.0, 100.0, 140.0, 200.0]
    found = resolvable(wide, wide)
    assert found is not None
    assert found > 1


def test_a_repeat_of_nothing_resolves_nothing() -> None:
    """On a busy machine, a short trial may receive no message."""
    assert resolvable([0.0, 10.0, 11.0, 12.0, 13.0], [9.0, 10.0, 11.0, 12.0, 13.0]) is None


def test_too_few_repeats_resolve_nothing() -> None:
    assert resolvable([1.0, 2.0, 3.0], [1.0, 2.0, 3.0]) is None
    assert resolvable([0.0] * 5, [1.0] * 5) is None
