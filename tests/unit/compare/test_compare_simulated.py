"""What the rules claim of runs whose truth is known: how often they err, and what they see. Seeded."""

from __future__ import annotations

import math

import pytest

from ipclab.compare import comparison, rules, statistics
from ipclab.compare.rules import Judgement
from ipclab.compare.statistics import POWER, log_shift
from ipclab.exit_codes import ExitCode
from tests.support.digests import row, run, sample

ROWS = 18


def family(seed: int, deviation: float, slower: dict[int, float], rows: int = ROWS) -> list[Judgement]:
    """One comparison of so many rows, of which some cost more in the new run."""
    pairs = []
    for place in range(rows):
        name = f"backend-{place}"
        old = sample(seed * 1000 + place, deviation)
        new = sample(seed * 1000 + place + 500, deviation, level=100.0 * slower.get(place, 1.0))
        pairs.append((row(name, {"cpu": old}), row(name, {"cpu": new})))
    return [one for (one,) in rules.judge(pairs, {})]


def test_a_slow_down_of_10_percent_is_found_at_a_spread_of_5_percent() -> None:
    found = [family(seed, 0.05, {0: 1.10}, rows=1)[0].word for seed in range(400)]
    assert found.count("worse") >= 0.95 * len(found)
    assert "better" not in found


def test_among_18_rows_a_slow_down_of_15_percent_is_found_and_no_other_row_is_named() -> None:
    found = [family(seed, 0.05, {3: 1.15}) for seed in range(40)]
    assert sum(one[3].word == "worse" for one in found) >= 0.95 * len(found)
    others = [one.word for judged in found for place, one in enumerate(judged) if place != 3]
    assert others.count("worse") + others.count("better") <= 0.05 * len(found)


@pytest.mark.parametrize("deviation", [0.05, 0.40])
def test_comparisons_of_the_same_code_claim_something_in_5_percent_at_most(deviation: float) -> None:
    many = 120
    claims = sum(
        any(one.word in ("worse", "better") for one in family(seed, deviation, {})) for seed in range(many)
    )
    # 5 % of 120 are 6; a count of 12 or more has a chance below 2 %, and the seeds are fixed.
    assert claims <= 6


def test_a_spread_of_70_percent_is_undecided_and_never_called_the_same() -> None:
    words = {family(seed, 0.70, {}, rows=1)[0].word for seed in range(100)}
    assert words <= {"undecided", "worse", "better"}
    old, new = (run(row("pipe", {"cpu": sample(seed, 0.70)})) for seed in (1, 2))
    found = comparison.compare(old, new)
    assert (found.verdict, found.exit_code) == ("undecided", ExitCode.UNKNOWN)


def _seen_at_the_edge(deviation: float, tests: int, repeats: int, many: int = 300) -> float:
    """Return how often a true difference of the size "would have seen" is claimed."""
    hits = 0
    for seed in range(many):
        old, new = sample(seed, deviation, repeats), sample(seed + 10_000, deviation, repeats)
        shift = log_shift(old, new)
        seen = statistics.visible(shift.half, rules.LEAST_CHANGE, tests, (repeats, repeats))
        assert seen is not None
        moved = log_shift(old, [value * math.exp(seen) for value in new])
        # The first step of Holm's method, which is the hardest.
        hits += moved.p * tests < statistics.ALPHA and moved.estimate >= rules.LEAST_CHANGE
    return hits / many


@pytest.mark.parametrize("repeats", [10, 20])
@pytest.mark.parametrize(("deviation", "tests"), [(0.02, 1), (0.05, 1), (0.05, 18), (0.20, 72)])
def test_what_would_have_been_seen_is_seen_in_about_80_percent(
    deviation: float, tests: int, repeats: int
) -> None:
    assert POWER - 0.05 <= _seen_at_the_edge(deviation, tests, repeats) <= POWER + 0.12


def test_the_factors_of_the_normal_distribution_alone_would_promise_too_much(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(statistics, "CORRECTION", 1.0)
    assert _seen_at_the_edge(0.20, 72, 10) < POWER - 0.05
