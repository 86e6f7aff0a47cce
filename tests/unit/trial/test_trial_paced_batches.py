"""Paced trials with a window above 1, other arrivals and rates that vary; and how a producer waits."""

from __future__ import annotations

import itertools
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.host.clock import now_ns
from ipclab.trial import pacing, rawlog, roles
from ipclab.trial.check import check
from ipclab.trial.message import tail
from ipclab.trial.pacing import SPIN_NS, doze_until, planned, wait_until, waiter
from ipclab.trial.rawlog import RawLog
from ipclab.trial.spec import Leg, TrialSpec
from tests.unit.trial.test_trial_hot_loops import Kept


def spec(**fields: Any) -> TrialSpec:
    default: dict[str, Any] = {"rate_per_s": 1000.0, "duration_s": 1.0, "warmup_s": 0.0}
    return TrialSpec(workload="paced", backend=Variant("queue"), **(default | fields))


class Logs:
    """The two logs of a producer."""

    def __init__(self, folder: Path) -> None:
        for name in ("sends", "returns"):
            rawlog.create(folder / name, 8, 1000)
        self.folder = folder
        self.sends, self.returns = RawLog(folder / "sends"), RawLog(folder / "returns")

    def counts(self) -> tuple[int, int]:
        return tuple(len(rawlog.read_stamps(self.folder / name)) for name in ("sends", "returns"))  # type: ignore[return-value]


def paced(logs: Logs, producer: Kept, many: int, *, window: int, end_ns: int, wait: Any = wait_until) -> int:
    return roles.pace_batches(
        producer, 0, tail(1, 0, 64), logs.sends, logs.returns, [0] * many, window=window, start_ns=0,
        end_ns=end_ns, wait=wait,
    )  # fmt: skip


def test_batches_are_flushed_when_full_and_the_last_one_at_the_end(tmp_path: Path) -> None:
    logs, producer = Logs(tmp_path), Kept()
    assert paced(logs, producer, 25, window=10, end_ns=now_ns() + 10**12) == 25
    assert producer.flushes == [10, 20, 25]
    assert len(producer.bodies) == 25
    assert logs.counts() == (25, 25)


def test_messages_of_a_batch_are_confirmed_together_when_its_flush_has_returned(tmp_path: Path) -> None:
    logs = Logs(tmp_path)
    confirmed_at_flush = []

    class Watching(Kept):
        def flush(self) -> None:
            super().flush()
            confirmed_at_flush.append(logs.counts()[1])

    paced(logs, Watching(), 25, window=10, end_ns=now_ns() + 10**12)
    assert confirmed_at_flush == [0, 10, 20]
    returned = rawlog.read_stamps(tmp_path / "returns").tolist()
    assert sorted(Counter(returned).values()) == [5, 10, 10]
    assert returned == sorted(returned)


def test_a_window_that_ends_within_a_batch_flushes_what_was_sent_and_skips_the_rest(tmp_path: Path) -> None:
    logs, producer, now = Logs(tmp_path), Kept(), now_ns()
    waited = itertools.count(1)

    def wait(due_ns: int) -> None:
        if next(waited) == 14:
            wait_until(end_ns)

    end_ns = now + 50_000_000
    assert paced(logs, producer, 25, window=10, end_ns=end_ns, wait=wait) == 13
    assert producer.flushes == [10, 13]
    assert logs.counts() == (13, 13)


def test_bursts_are_due_at_once_and_evenly_spaced() -> None:
    times = planned(spec(arrivals="burst:10"), 0)
    assert len(times) == 1000
    assert set(Counter(times).values()) == {10}
    gaps = {b - a for a, b in itertools.pairwise(sorted(set(times)))}
    assert all(abs(gap - 10_000_000) <= 1 for gap in gaps)


@given(producers=st.integers(1, 5), burst=st.integers(2, 50))
def test_bursts_of_several_producers_have_the_rate_together(producers: int, burst: int) -> None:
    asked = spec(arrivals=f"burst:{burst}", producers=producers, rate_per_s=5000.0)
    offered = sum(len(planned(asked, i)) for i in range(producers))
    assert abs(offered - 5000) <= burst * producers


@pytest.mark.parametrize("arrivals", ["constant", "poisson", "burst:10"])
@pytest.mark.parametrize("rate_per_s", [1.0, 1_000.0, 50_000.0, 200_000.0])
def test_a_schedule_offers_its_rate_within_two_percent(arrivals: str, rate_per_s: float) -> None:
    seconds = max(1.0, 20_000 / rate_per_s)
    asked = spec(arrivals=arrivals, producers=2, rate_per_s=rate_per_s, duration_s=seconds)
    offered = sum(len(planned(asked, i)) for i in range(2))
    assert offered == pytest.approx(rate_per_s * seconds, rel=0.02)


LEGS = [Leg(rate_per_s=100, seconds=1.0), Leg(rate_per_s=1000, seconds=0.5)]


def test_a_rate_that_varies_has_each_rate_in_its_time_and_the_first_in_the_warm_up() -> None:
    asked = spec(arrivals="constant", legs=LEGS, rate_per_s=400.0, duration_s=1.5, warmup_s=0.5)
    check(asked)
    times = planned(asked, 0)
    assert times == sorted(times)
    assert len([t for t in times if t < 1_500_000_000]) == 150
    assert len([t for t in times if t >= 1_500_000_000]) == 500
    assert max(times) < 2_000_000_000


def test_rates_that_vary_are_told_with_the_arrivals() -> None:
    """Otherwise rows of two runs with the same mean rate would be compared."""
    assert spec(legs=LEGS).pattern == "poisson 100:1s,1000:0.5s"
    assert spec(arrivals="burst:5").pattern == "burst:5"


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"arrivals": "now and then"}, "arrivals are constant, poisson or burst:N"),
        ({"arrivals": "burst:0"}, "arrivals are constant, poisson or burst:N"),
        ({"legs": LEGS, "duration_s": 3.0}, "leave out --duration"),
        ({"legs": [Leg(rate_per_s=0, seconds=1.0)]}, "the rate of a leg must be a number above 0"),
    ],
)
def test_an_impossible_schedule_is_refused(fields: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        check(spec(**fields))


def test_a_schedule_without_options_is_the_one_that_it_always_was() -> None:
    """Stored results name a seed: the same seed must still mean the same schedule."""
    asked = spec(warmup_s=0.25, seed=3, repeat=2, producers=2)
    for producer in range(2):
        former = pacing.schedule(1000.0, 1_250_000_000, poisson=True, producer=producer, producers=2, seed=5)
        assert planned(asked, producer) == former


@pytest.mark.parametrize(
    ("gap_ns", "burst", "expected"),
    [
        (SPIN_NS * 2, 1, wait_until),
        (SPIN_NS, 1, doze_until),
        (SPIN_NS // 10, 1, doze_until),
        (SPIN_NS * 2, 10, wait_until),
    ],
)
def test_a_producer_spins_only_where_the_gaps_are_longer_than_its_spin(
    gap_ns: int, burst: int, expected: Any
) -> None:
    due_ns = [gap_ns * i for i in range(1000) for _ in range(burst)]
    assert waiter(due_ns) is expected


def test_a_producer_with_one_message_or_none_has_no_gap() -> None:
    assert waiter([]) is waiter([5]) is wait_until


def test_dozing_never_ends_before_the_moment_and_returns_at_once_after_it() -> None:
    due_ns = now_ns() + 2_000_000
    doze_until(due_ns)
    assert now_ns() >= due_ns
    doze_until(now_ns() - 10**12)


def test_above_the_rate_of_its_spin_a_producer_sleeps_and_offers_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """20 000 messages a second: each is sent, none before it is due, and the producer gives the core away."""
    slept: list[float] = []
    sleep = time.sleep

    def counted(seconds: float) -> None:
        slept.append(seconds)
        sleep(seconds)

    monkeypatch.setattr(time, "sleep", counted)
    logs, producer = Logs(tmp_path), Kept()
    due_ns = planned(spec(arrivals="constant", rate_per_s=20_000.0, duration_s=0.03), 0)
    start_ns = now_ns() + 1_000_000
    sent = roles.pace(
        producer, 0, tail(1, 0, 64), logs.sends, logs.returns, due_ns, start_ns=start_ns,
        end_ns=now_ns() + 10**12, wait=waiter(due_ns),
    )  # fmt: skip
    assert sent == len(producer.bodies) == len(due_ns) == 600
    began_ns = rawlog.read_stamps(tmp_path / "sends")
    assert all(at >= start_ns + due for at, due in zip(began_ns.tolist(), due_ns, strict=True))
    assert slept
