"""The search on channels of known capacity: what it says is true, and it comes to an end."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from ipclab.capacity.bracket import Bracket, make_bracket
from ipclab.capacity.evidence import MOST_ON_A_RATE, Outcome
from ipclab.capacity.grid import LOWEST_PER_S, rate_of, step_of, trial_s
from ipclab.capacity.search import BUDGET_S, OVERHEAD_S, At, Search, Stream
from ipclab.trial.study import Slo

P99 = Slo.parse("p99=10ms")
SEEDS = 200
Try = Callable[[float], Outcome]


@dataclass
class Done:
    """A search that has ended, and its trials: the rates in their order."""

    search: Search
    rates: list[float]
    spent_s: float

    @property
    def bracket(self) -> Bracket:
        return make_bracket(self.search.evidence)


def carry_out(outcome: Try, *, peak_per_s: float | None, budget_s: float = BUDGET_S) -> Done:
    """Run a search against a channel; each trial takes its length and the usual overhead."""
    search, spent_s = Search(P99, budget_s=budget_s), 0.0
    rates: list[float] = []
    for _ in range(500):
        asked = search.ask()
        assert asked == search.ask()
        if asked is None:
            return Done(search, rates, spent_s)
        if isinstance(asked, Stream):
            search.tell_stream(peak_per_s, 0.7)
            spent_s += 0.7
        else:
            assert isinstance(asked, At)
            per_s = rate_of(asked.step)
            rates.append(per_s)
            took_s = trial_s(per_s, P99) + OVERHEAD_S
            spent_s += took_s
            search.tell(asked.step, outcome(per_s), took_s)
    raise AssertionError("the search does not end")


def noisy(capacity_per_s: float, draw: random.Random, *, stalls: float = 0.0, foreign: bool = False) -> Try:
    """A channel that holds below its capacity; within a percent of it, luck decides. A share of all trials
    is spoilt by a stall of the machine, which is seen as ``foreign`` or not."""

    def outcome(per_s: float) -> Outcome:
        if draw.random() < stalls:
            return "void" if foreign else "fail"
        beyond = (per_s / capacity_per_s - 1) / 0.004
        holds = draw.random() < 1 / (1 + math.exp(min(beyond, 500)))
        return "hold" if holds else "fail"

    return outcome


def peak_of(capacity_per_s: float, draw: random.Random) -> float:
    """What a closed loop shows of this capacity: from two thirds of it to five thirds."""
    return capacity_per_s * draw.uniform(0.67, 1.67)


def contains(found: Bracket, capacity_per_s: float) -> bool:
    low, high = found.low_per_s or 0.0, found.high_per_s or math.inf
    return low <= capacity_per_s <= high


@pytest.mark.parametrize("stalls", [0.0, 0.05])
def test_the_bracket_contains_the_capacity_in_nineteen_of_twenty_runs(stalls: float) -> None:
    right = complete = 0
    for seed in range(SEEDS):
        draw = random.Random(seed)
        capacity = 10 ** draw.uniform(3, 6)
        found = carry_out(noisy(capacity, draw, stalls=stalls), peak_per_s=peak_of(capacity, draw)).bracket
        right += contains(found, capacity)
        complete += found.complete
    assert right >= 0.95 * SEEDS
    assert complete >= 0.8 * SEEDS


def test_a_bracket_that_is_complete_is_one_step_wide() -> None:
    for seed in range(50):
        draw = random.Random(seed)
        done = carry_out(noisy(20_000, draw), peak_per_s=25_000)
        if done.search.ended == "neighbours":
            assert done.bracket.low_per_s is not None
            assert done.bracket.high_per_s == pytest.approx(done.bracket.low_per_s * 2**0.25)


@pytest.mark.parametrize("stalls", [0.2, 0.5, 0.9])
def test_stalls_that_are_known_to_be_foreign_never_make_a_wrong_upper_end(stalls: float) -> None:
    for seed in range(SEEDS):
        draw = random.Random(seed)
        capacity = 10 ** draw.uniform(3, 6)

        def outcome(per_s: float, capacity: float = capacity, draw: random.Random = draw) -> Outcome:
            if draw.random() < stalls:
                return "void"
            return "hold" if per_s <= capacity else "fail"

        found = carry_out(outcome, peak_per_s=peak_of(capacity, draw)).bracket
        assert contains(found, capacity)


def test_a_search_whose_trials_are_all_void_knows_nothing() -> None:
    done = carry_out(lambda _: "void", peak_per_s=50_000)
    assert not done.bracket.known
    assert done.bracket.missing == "others"


def test_a_void_trial_is_repeated_once_and_a_pass_between_void_trials_counts() -> None:
    done = carry_out(lambda per_s: "hold" if per_s < 9_000 else "void", peak_per_s=20_000)
    assert max(done.rates.count(rate) for rate in done.rates if rate >= 9_000) == 2
    assert done.bracket.low_per_s == pytest.approx(rate_of(step_of(9_000)))
    assert done.bracket.high_per_s is None
    assert done.bracket.missing == "others"


def test_a_channel_that_holds_at_one_and_a_half_times_its_peak_has_no_upper_end() -> None:
    done = carry_out(lambda _: "hold", peak_per_s=10_000)
    assert done.search.ended == "cap"
    assert max(done.rates) <= 15_000
    assert (done.bracket.low_per_s, done.bracket.missing) == (rate_of(step_of(15_000)), "cap")


def test_a_channel_that_fails_at_the_lowest_rate_has_less_than_that() -> None:
    done = carry_out(lambda _: "fail", peak_per_s=500, budget_s=100)
    assert done.search.ended == "floor"
    assert (done.bracket.low_per_s, done.bracket.high_per_s) == (None, LOWEST_PER_S)
    assert done.bracket.missing == "floor"


def test_a_channel_that_fails_at_low_rates_and_holds_at_higher_ones_is_reported_as_not_monotone() -> None:
    """A channel that waits for a full batch: slow at low rates, and the search begins below them."""
    done = carry_out(lambda per_s: "hold" if 700 <= per_s < 1400 else "fail", peak_per_s=1300, budget_s=100)
    assert done.bracket.held_above_per_s
    assert not done.bracket.complete


def test_a_channel_whose_trials_are_tosses_of_a_coin_ends() -> None:
    for seed in range(SEEDS):
        draw = random.Random(seed)
        done = carry_out(lambda _, draw=draw: draw.choice(["hold", "fail", "void"]), peak_per_s=30_000)  # type: ignore[misc]
        assert done.search.ended is not None


def test_a_search_keeps_to_its_time_and_to_five_trials_on_a_rate() -> None:
    for seed in range(SEEDS):
        draw = random.Random(seed)
        capacity = 10 ** draw.uniform(1.5, 6)
        found = carry_out(noisy(capacity, draw, stalls=0.3, foreign=True), peak_per_s=capacity)
        assert found.spent_s <= BUDGET_S
        assert max(len(found.search.evidence.at(step)) for step in found.search.evidence.outcomes) <= (
            MOST_ON_A_RATE
        )


def test_a_search_without_a_finished_stream_asks_for_no_rate() -> None:
    done = carry_out(lambda _: "hold", peak_per_s=None)
    assert done.rates == []
    assert (done.search.ended, done.bracket.missing) == ("no peak", "no peak")


def test_it_begins_at_half_of_the_peak_and_gallops() -> None:
    up = carry_out(lambda _: "hold", peak_per_s=10_000).rates
    assert up[0] == rate_of(step_of(5_000))
    assert [b / a for a, b in itertools.pairwise(up)][:2] == pytest.approx([2**0.5, 2**0.5])
    down = carry_out(lambda _: "fail", peak_per_s=100_000, budget_s=10**6).rates
    assert down[1] / down[0] == pytest.approx(0.5)


def test_one_fail_by_chance_at_the_beginning_is_corrected() -> None:
    tries = 0

    def outcome(per_s: float) -> Outcome:
        nonlocal tries
        tries += 1
        return "fail" if tries == 1 or per_s > 20_000 else "hold"

    found = carry_out(outcome, peak_per_s=24_000).bracket
    assert contains(found, 20_000)
    assert found.complete


def test_an_upper_end_that_failed_once_is_no_end() -> None:
    done = carry_out(lambda per_s: "hold" if per_s < 9_000 else "fail", peak_per_s=16_000, budget_s=5.3)
    assert done.search.ended == "time"
    assert done.bracket.high_per_s is None
    assert done.bracket.missing == "time"
