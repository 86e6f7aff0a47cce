"""Runs taken together, the order of turns, and when more repeats are run."""

from __future__ import annotations

from typing import Any

import pytest

from ipclab.compare.digest import digest
from ipclab.gate import interleaved, repeats
from ipclab.gate.merge import merged
from tests.support.records import Make

MAKE = Make()


def stream(rates: list[float], **fields: Any) -> Any:
    trials = [MAKE.stream("pipe", rate, repeat=number) for number, rate in enumerate(rates)]
    return MAKE.result(trials, **fields)


def test_merged_runs_are_one_with_more_repeats() -> None:
    whole = merged([stream([10.0, 20.0]), stream([30.0]), stream([40.0, 50.0])])
    assert [trial.spec.repeat for trial in whole.trials] == [0, 1, 2, 3, 4]
    (row,) = digest(whole).rows
    assert row.values["goodput"] == [10.0, 20.0, 30.0, 40.0, 50.0]


def test_a_merged_run_is_complete_only_if_all_are_and_tells_what_was_unavailable_once() -> None:
    gone = [MAKE.unavailable("redis-list", "no Redis")]
    whole = merged([stream([1.0], unavailable=gone), stream([1.0], unavailable=gone, complete=False)])
    assert not whole.complete
    assert whole.unavailable == gone


def test_nothing_cannot_be_merged() -> None:
    with pytest.raises(ValueError, match="nothing to merge"):
        merged([])


def test_the_sides_take_turns_so_that_a_drift_hits_both_alike() -> None:
    order = list(interleaved.turns(0, 4))
    assert [side for _, side in order] == [0, 1, 1, 0, 0, 1, 1, 0]
    middle = {side: sum(i for i, (_, s) in enumerate(order) if s == side) for side in (0, 1)}
    assert middle[0] == middle[1]
    assert [number for number, _ in interleaved.turns(10, 2)] == [10, 10, 11, 11]


@pytest.mark.parametrize(("rates", "more"), [([100.0, 101, 99, 100], False), ([100.0, 160, 60, 130], True)])
def test_more_repeats_are_run_where_the_cpu_time_of_a_message_varies(rates: list[float], more: bool) -> None:
    # The trials use the same CPU time, so what a message costs goes with the rate.
    assert repeats.wants_more([stream(rates)]) == more


def test_a_digest_has_a_value_of_each_metric_for_each_repeat() -> None:
    trials = [MAKE.stream("redis-list", 1000.0, repeat=i, cost=MAKE.cost(broker_cpu_s=0.5)) for i in range(3)]
    trials += [MAKE.paced("redis-list", range(1000, 21000), repeat=i) for i in range(3)]
    (row,) = digest(MAKE.result(trials)).rows
    assert {name: len(values) for name, values in row.values.items()} == {
        "cpu": 3, "goodput": 3, "p50": 3, "p99": 3,
    }  # fmt: skip
    assert row.cpu_of == "workers and broker"
    assert row.values["cpu"] == pytest.approx([1500.0] * 3)
    assert row.durations_s == {"stream": 3.0, "paced": 3.0}
    assert (row.key.rate_per_s, row.key.shape, row.verdict) == (1000.0, "1→1", "kept")
