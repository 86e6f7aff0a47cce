"""When a change is called worse, better, the same or undecided."""

from __future__ import annotations

import math

import pytest

from ipclab.compare import rules
from ipclab.compare.digest import Metric
from ipclab.compare.rules import Judgement
from tests.support.digests import row

STEADY = [100.0, 101, 99, 100.5, 99.5, 100.2, 99.8, 101.2, 98.8, 100.1]


def times(factor: float, values: list[float] = STEADY) -> list[float]:
    # Not the same factor to the last digit, so that there are no ties.
    return [value * factor * (1 + 1e-5 * place) for place, value in enumerate(values)]


def judged(metric: Metric, old: list[float], new: list[float], floor: float | None = None) -> Judgement:
    before, after = row("pipe", {metric: old}), row("pipe", {metric: new})
    floors = {} if floor is None else {(after.key, metric): floor}
    ((one,),) = rules.judge([(before, after)], floors)
    return one


@pytest.mark.parametrize(
    ("metric", "factor", "word"),
    [
        ("cpu", 1.2, "worse"),
        ("cpu", 0.8, "better"),
        ("goodput", 0.8, "worse"),
        ("goodput", 1.2, "better"),
        ("p50", 1.2, "worse"),
        ("p99", 0.8, "better"),
        ("cpu", 1.0, "same"),
    ],
)
def test_the_direction_of_a_change_decides_by_the_metric(metric: Metric, factor: float, word: str) -> None:
    one = judged(metric, STEADY, times(factor))
    assert (one.word, one.gated) == (word, True)
    assert one.change == pytest.approx(factor - 1, abs=0.01)
    assert one.low is not None
    assert one.high is not None
    assert one.low <= one.change <= one.high


def test_a_change_below_5_percent_is_no_claim_however_sure() -> None:
    one = judged("cpu", STEADY, times(1.04))
    assert one.p is not None
    assert one.p < 0.001
    assert one.word == "same"


def test_a_sure_change_of_the_size_of_the_floor_is_the_same() -> None:
    one = judged("cpu", STEADY, times(1.15), floor=math.log(1.25))
    assert one.word == "same"
    assert one.threshold == pytest.approx(0.25)
    assert judged("cpu", STEADY, times(1.30), floor=math.log(1.25)).word == "worse"


def test_a_wide_interval_is_undecided_and_says_so() -> None:
    wide = [100.0, 160, 60, 130, 75, 90, 145, 110, 55, 170]
    one = judged("cpu", wide, times(1.0, wide))
    assert (one.word, one.why) == ("undecided", "wide")


def test_a_large_estimate_that_chance_may_explain_is_undecided() -> None:
    one = judged("cpu", [100.0, 160, 60, 130, 75, 90], [150.0, 70, 170, 140, 90, 165])
    assert (one.word, one.why) == ("undecided", "not significant")


@pytest.mark.parametrize(("old", "new"), [(5, 10), (10, 5), (1, 1)])
def test_fewer_than_6_repeats_are_never_a_claim(old: int, new: int) -> None:
    one = judged("cpu", STEADY[:old], times(5.0)[:new])
    assert (one.word, one.why, one.change) == ("undecided", "too few repeats", None)


def test_what_varies_by_10_percent_gates_nothing_unless_it_is_cpu_time() -> None:
    wide = [100.0, 160, 60, 130, 75, 90, 145, 110, 55, 170]
    assert not judged("goodput", STEADY, wide).gated
    assert not judged("p99", wide, STEADY).gated
    assert judged("cpu", wide, STEADY).gated
    assert judged("goodput", STEADY, times(1.0)).gated


def test_what_gates_nothing_is_never_called_worse_or_better() -> None:
    wide = [100.0, 160, 60, 130, 75, 90, 145, 110, 55, 170]
    one = judged("goodput", wide, times(0.1, wide))
    assert (one.word, one.why, one.gated, one.p_holm) == ("undecided", "not gated", False, None)


def test_a_metric_of_one_side_only_is_undecided() -> None:
    before, after = row("pipe", {"cpu": STEADY}), row("pipe", {"cpu": []})
    ((one,),) = rules.judge([(before, after)], {})
    assert (one.word, one.why) == ("undecided", "not measured")


def test_cpu_time_with_and_without_the_brokers_is_not_compared() -> None:
    before = row("redis-list", {"cpu": STEADY}, cpu_of="workers and broker")
    after = row("redis-list", {"cpu": times(0.5)})
    ((one,),) = rules.judge([(before, after)], {})
    assert (one.word, one.why) == ("undecided", "not comparable")


def test_more_rows_make_a_claim_harder() -> None:
    old = [100.0, 104, 97, 101, 99, 103, 96, 100.5, 98, 102]
    new = [103.0, 111, 108, 110, 105, 112, 100.2, 109, 106, 113]
    alone = judged("cpu", old, new)
    pairs = [(row(f"b{i}", {"cpu": old}), row(f"b{i}", {"cpu": times(1.0, old)})) for i in range(400)]
    pairs.append((row("pipe", {"cpu": old}), row("pipe", {"cpu": new})))
    among = rules.judge(pairs, {})[-1][0]
    assert alone.word == "worse"
    assert among.p == alone.p
    assert among.word != "worse"


def test_speed_that_gates_nothing_is_still_shown() -> None:
    before, after = row("pipe", {"cpu": STEADY}), row("pipe", {"cpu": times(2.0)})
    ((one,),) = rules.judge([(before, after)], {}, speed_gates=False)
    assert not one.gated
    assert one.change == pytest.approx(1.0, abs=0.01)
