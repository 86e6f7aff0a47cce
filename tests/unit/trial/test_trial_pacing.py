"""The laws of a schedule: what is due when does not depend on how the trial goes."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.host.clock import now_ns
from ipclab.trial.pacing import schedule, wait_until

rates = st.floats(1, 20_000)
durations_ns = st.integers(1, 300_000_000)
counts = st.integers(1, 5)
seeds = st.integers(0, 2**32)


def of_all(rate: float, duration_ns: int, *, poisson: bool, producers: int, seed: int) -> list[list[int]]:
    return [
        schedule(rate, duration_ns, poisson=poisson, producer=i, producers=producers, seed=seed)
        for i in range(producers)
    ]


@given(rate=rates, duration_ns=durations_ns, poisson=st.booleans(), producers=counts, seed=seeds)
def test_send_times_ascend_from_the_start_and_end_before_the_duration(
    rate: float, duration_ns: int, poisson: bool, producers: int, seed: int
) -> None:
    for times in of_all(rate, duration_ns, poisson=poisson, producers=producers, seed=seed):
        assert times == sorted(times)
        assert all(0 <= t < duration_ns for t in times)


@given(rate=rates, duration_ns=durations_ns, producers=counts)
def test_constant_schedules_of_several_producers_are_one_evenly_spaced_stream(
    rate: float, duration_ns: int, producers: int
) -> None:
    together = sorted(itertools.chain(*of_all(rate, duration_ns, poisson=False, producers=producers, seed=1)))
    gap_ns = 1e9 / rate
    assert all(abs(b - a - gap_ns) <= 2 for a, b in itertools.pairwise(together))


@given(rate=rates, duration_ns=durations_ns, producers=counts)
def test_a_constant_schedule_has_exactly_the_messages_of_its_rate(
    rate: float, duration_ns: int, producers: int
) -> None:
    each = of_all(rate, duration_ns, poisson=False, producers=producers, seed=1)
    expected = math.ceil(duration_ns * rate / 1e9)
    assert abs(sum(map(len, each)) - expected) <= 1
    assert max(map(len, each)) - min(map(len, each)) <= 1


@pytest.mark.parametrize("producers", [1, 4])
@pytest.mark.parametrize("seed", range(5))
def test_poisson_schedules_of_several_producers_add_up_to_the_rate(producers: int, seed: int) -> None:
    each = of_all(20_000, 1_000_000_000, poisson=True, producers=producers, seed=seed)
    six_sigma = 6 * math.sqrt(20_000)
    assert abs(sum(map(len, each)) - 20_000) < six_sigma


def test_poisson_gaps_are_as_irregular_as_an_exponential_distribution() -> None:
    times = schedule(20_000, 1_000_000_000, poisson=True, producer=0, producers=1, seed=7)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    deviation = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    assert deviation / mean == pytest.approx(1, abs=0.1)


@given(rate=rates, poisson=st.booleans(), seed=seeds)
def test_the_same_seed_gives_the_same_schedule(rate: float, poisson: bool, seed: int) -> None:
    again = [of_all(rate, 50_000_000, poisson=poisson, producers=3, seed=seed) for _ in range(2)]
    assert again[0] == again[1]


def test_another_seed_and_another_producer_give_other_poisson_schedules() -> None:
    def poisson(producer: int, seed: int) -> list[int]:
        return schedule(1000, 1_000_000_000, poisson=True, producer=producer, producers=2, seed=seed)

    assert poisson(0, 1) != poisson(0, 2)
    assert poisson(0, 1) != poisson(1, 1)


def test_waiting_never_ends_before_the_moment() -> None:
    due_ns = now_ns() + 3_000_000
    wait_until(due_ns)
    assert now_ns() >= due_ns


def test_waiting_for_a_moment_that_has_passed_returns() -> None:
    wait_until(now_ns() - 10**12)
