"""Whether a trial holds: how much is slow, what was lost and carried, and who else was at work."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest

from ipclab.capacity.judge import judge_trial
from ipclab.hosts.clock_bound import Withheld
from ipclab.trial.distribution import summarize
from ipclab.trial.record import Latency, Machines, TrialRecord
from ipclab.trial.study import Slo
from tests.support.records import Make

P99 = Slo.parse("p99=10ms")
FAST_NS, SLOW_NS = 1_000_000, 30_000_000
MAKE = Make()


def trial(
    fast: int = 1000, slow: int = 0, *, skipped: int = 0, lost: int = 0, others: float = 0.0, **fields: Any
) -> TrialRecord:
    """A trial of one second in which so many messages were fast, slow, skipped and lost."""
    came = summarize(np.array([FAST_NS] * fast + [SLOW_NS] * slow, np.int64))
    sent = summarize(np.full(fast + slow + lost, 1000, np.int64))
    default: dict[str, Any] = {
        "rate_per_s": float(fast + slow),
        "latency": Latency(end_to_end=came, send=sent, skipped_sends=skipped),
        "ledger": MAKE.ledger(attempted=fast, confirmed=fast, owed=fast, received=fast, lost=lost),
        "cost": msgspec.structs.replace(MAKE.cost(), others_cores=others),
    }
    return MAKE.paced("pipe", [1], **(default | fields))


@pytest.mark.parametrize(
    ("found", "outcome", "reason"),
    [
        (trial(), "hold", ""),
        (trial(990, 10), "hold", ""),
        (trial(989, 11), "fail", "slow"),
        (trial(990, 5, skipped=5), "hold", ""),
        (trial(990, 5, skipped=6), "fail", "slow"),
        (trial(lost=1), "fail", "lost"),
        (trial(ledger=MAKE.bad_ledger()), "fail", "lost"),
        (trial(ledger=MAKE.ledger(received=9, broken=["corrupted 1"])), "fail", "wrong"),
        (trial(rate_per_s=951.0), "hold", ""),
        (trial(rate_per_s=949.0), "fail", "not carried"),
        (trial(outcome="failed"), "fail", "unfinished"),
        (trial(outcome="hung"), "fail", "unfinished"),
        (trial(latency=Latency()), "fail", "unfinished"),
        (trial(cost=None), "hold", ""),
    ],
)
def test_a_trial_holds_where_almost_all_came_in_time_and_none_was_lost(
    found: TrialRecord, outcome: str, reason: str
) -> None:
    judged = judge_trial(found, P99)
    assert (judged.outcome, judged.reason) == (outcome, reason)


@pytest.mark.parametrize("bad", [{"fast": 900, "slow": 100}, {"lost": 3}, {"outcome": "hung"}])
def test_a_failed_trial_beside_other_programs_is_void(bad: dict[str, Any]) -> None:
    assert judge_trial(trial(**bad, others=0.5), P99).outcome == "fail"
    assert judge_trial(trial(**bad, others=0.51), P99).outcome == "void"


def test_a_failed_trial_of_which_it_is_not_known_who_else_was_at_work_is_void() -> None:
    assert judge_trial(trial(900, 100, cost=None), P99).outcome == "void"
    assert judge_trial(trial(900, 100, cost=MAKE.cost()), P99).outcome == "void"


def test_a_trial_that_holds_counts_whoever_else_is_at_work() -> None:
    assert judge_trial(trial(others=1.9), P99).outcome == "hold"


def test_the_median_as_a_limit_lets_half_of_the_messages_be_slow() -> None:
    assert judge_trial(trial(500, 500), Slo.parse("p50=10ms")).outcome == "hold"
    assert judge_trial(trial(499, 501), Slo.parse("p50=10ms")).outcome == "fail"


def test_a_message_at_the_limit_itself_is_in_time() -> None:
    at_limit = Latency(
        end_to_end=summarize(np.full(1000, P99.limit_ns, np.int64)),
        send=summarize(np.full(1000, 5, np.int64)),
    )
    assert judge_trial(trial(latency=at_limit), P99).outcome == "hold"


def test_of_fan_out_each_consumer_counts() -> None:
    declared = MAKE.at_most_once | {"fan_out": True}

    both = trial(1980, rate_per_s=1980.0, guarantees=declared, spec={"consumers": 2})
    latency = msgspec.structs.replace(
        both.latency, send=summarize(np.full(990, 5, np.int64)), skipped_sends=10
    )
    assert judge_trial(msgspec.structs.replace(both, latency=latency), P99).slow_share == pytest.approx(0.01)


@pytest.mark.parametrize("text", ["p99=10ms", "p50=1s", "p99.9=250us", "p90=1.5ms"])
def test_a_limit_reads_as_it_is_written(text: str) -> None:
    assert str(Slo.parse(text)) == text


@pytest.mark.parametrize(("bound_ns", "outcome"), [(8_900_000, "hold"), (9_100_000, "fail")])
def test_what_the_bound_of_the_clocks_allows_to_be_slow_counts_as_slow(bound_ns: int, outcome: str) -> None:
    found = judge_trial(trial(machines=Machines(reference=1, machines=[], bound_ns=bound_ns)), P99)
    assert found.outcome == outcome


def test_a_trial_whose_latencies_are_withheld_shows_nothing_of_the_limit() -> None:
    machines = Machines(reference=1, machines=[], withheld=Withheld(reason="contradicted"))
    found = judge_trial(trial(latency=Latency(), machines=machines), P99)
    assert (found.outcome, found.reason) == ("void", "clock")
    # A loss needs no clock.
    assert judge_trial(trial(lost=1, latency=Latency(), machines=machines), P99).reason == "lost"
