"""The rules: when a change of a metric is called worse, better or the same. Pure.

The values are logged, so a change is a ratio. All claims of a comparison are corrected together.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ipclab.compare.digest import HIGHER_IS_BETTER, METRICS, Metric, RowDigest, RowKey
from ipclab.compare.statistics import ALPHA, Shift, holm, log_deviation, log_shift, visible

Word = Literal["worse", "better", "same", "undecided"]
Why = Literal[
    "",
    "too few repeats",
    "not measured",
    "not comparable",
    "not gated",
    "wide",
    "between",
    "not significant",
]
"""Why a metric is undecided; empty where it is not.

``too few repeats`` for any claim; ``not measured`` on one side; ``not comparable``: the CPU time of other
processes is counted; ``not gated``: it was not tested, as it varies too much or nothing may fail; ``wide``:
the interval is too wide to say same; ``between``: a change is shown that is too small for a claim and too
large to pass as the same; ``not significant``: the estimate is large enough for a claim, and chance may
explain it.
"""

LEAST_REPEATS = 6
LEAST_CHANGE = math.log(1.05)
SAME_WITHIN = math.log(1.10)
STEADY = 0.10
"""The standard deviation of the logarithms below which goodput and percentiles are gated."""
ALWAYS_GATED: frozenset[Metric] = frozenset(("cpu",))


class Judgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The judgement of one metric of one row.

    ``old``, ``new``  the medians of the repeats.
    ``change``        its estimate as a share of the old value, ``low`` to ``high`` the 95 % interval;
                      None where there is none.
    ``p``, ``p_holm``  of the test, without and with the correction.
    ``threshold``     the smallest change that is claimed, and ``visible`` the one that would have been
                      claimed in 80 % of such comparisons: for the worse, as shares of the old value.
    ``floor``         how far two runs of the same code lie apart, as such a share; None where not known.
    ``deviation``     the standard deviation of the logarithms, of the side where it is larger.
    ``gated``         whether the exit code depends on it.
    """

    metric: Metric
    word: Word
    why: Why = ""
    gated: bool
    old: float | None = None
    new: float | None = None
    old_repeats: int = 0
    new_repeats: int = 0
    change: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_holm: float | None = None
    threshold: float = math.expm1(LEAST_CHANGE)
    visible: float | None = None
    floor: float | None = None
    deviation: float | None = None


@dataclass(frozen=True, slots=True)
class _Pair:
    """One metric of two rows. ``shift`` is None where no claim is possible, and ``why`` says why."""

    key: RowKey
    metric: Metric
    old: Sequence[float]
    new: Sequence[float]
    shift: Shift | None
    why: Why
    gated: bool
    floor: float | None

    @property
    def threshold(self) -> float:
        return max(LEAST_CHANGE, self.floor or 0.0)

    @property
    def deviation(self) -> float | None:
        found = [d for d in map(log_deviation, (self.old, self.new)) if d is not None]
        return max(found, default=None)


Floors = Mapping[tuple[RowKey, Metric], float]


def judge(
    pairs: Sequence[tuple[RowDigest, RowDigest]], floors: Floors, *, speed_gates: bool = True
) -> list[list[Judgement]]:
    """Return the judgements of each pair of rows, old and new.

    ``floors`` has the A/A floor of a row's metric as a natural logarithm, where one is known. Without
    ``speed_gates`` the metrics are shown and gate nothing.
    """
    found = [
        [
            _pair(old, new, metric, floors.get((new.key, metric)), speed_gates)
            for metric in METRICS
            if metric in old.values or metric in new.values
        ]
        for old, new in pairs
    ]
    tested = [pair for row in found for pair in row if pair.gated and pair.shift is not None]
    adjusted = holm([pair.shift.p for pair in tested if pair.shift is not None])
    p_holm = {(pair.key, pair.metric): p for pair, p in zip(tested, adjusted, strict=True)}
    return [
        [_judgement(pair, p_holm.get((pair.key, pair.metric)), len(tested)) for pair in row] for row in found
    ]


def _pair(old: RowDigest, new: RowDigest, metric: Metric, floor: float | None, speed_gates: bool) -> _Pair:
    before, after = old.values.get(metric, []), new.values.get(metric, [])
    why: Why = ""
    if not before or not after or min(*before, *after, math.inf) <= 0:
        why = "not measured"
    elif metric == "cpu" and old.cpu_of != new.cpu_of:
        why = "not comparable"
    elif min(len(before), len(after)) < LEAST_REPEATS:
        why = "too few repeats"
    shift = None if why else log_shift(before, after)
    return _Pair(
        key=new.key,
        metric=metric,
        old=before,
        new=after,
        shift=shift,
        why=why,
        gated=speed_gates and (metric in ALWAYS_GATED or _is_steady(before, after)),
        floor=floor,
    )


def _is_steady(old: Sequence[float], new: Sequence[float]) -> bool:
    spreads = [log_deviation(side) for side in (old, new)]
    return all(spread is not None and spread < STEADY for spread in spreads)


def _judgement(pair: _Pair, p_holm: float | None, tests: int) -> Judgement:
    word, why = _word(pair, p_holm)
    shift = pair.shift
    seen = None
    if shift is not None:
        sizes = len(pair.old), len(pair.new)
        seen = visible(shift.half, pair.threshold, tests if pair.gated else 1, sizes)
    return Judgement(
        metric=pair.metric,
        word=word,
        why=why,
        gated=pair.gated,
        old=statistics.median(pair.old) if pair.old else None,
        new=statistics.median(pair.new) if pair.new else None,
        old_repeats=len(pair.old),
        new_repeats=len(pair.new),
        change=math.expm1(shift.estimate) if shift else None,
        low=math.expm1(shift.low) if shift and math.isfinite(shift.low) else None,
        high=math.expm1(shift.high) if shift and math.isfinite(shift.high) else None,
        p=shift.p if shift else None,
        p_holm=p_holm,
        threshold=_as_share(pair.metric, pair.threshold),
        visible=None if seen is None else _as_share(pair.metric, seen),
        floor=None if pair.floor is None else _as_share(pair.metric, pair.floor),
        deviation=pair.deviation,
    )


def _word(pair: _Pair, p_holm: float | None) -> tuple[Word, Why]:
    shift = pair.shift
    if shift is None:
        return "undecided", pair.why
    significant = p_holm is not None and p_holm < ALPHA
    large = abs(shift.estimate) >= pair.threshold
    if significant and large:
        better = (shift.estimate > 0) == (pair.metric in HIGHER_IS_BETTER)
        return ("better" if better else "worse"), ""
    within = max(SAME_WITHIN, pair.floor or 0.0)
    if -within <= shift.low and shift.high <= within:
        return "same", ""
    if p_holm is None:
        return "undecided", "not gated"
    if significant:
        return "undecided", "between"
    return "undecided", "not significant" if large else "wide"


def _as_share(metric: Metric, log_ratio: float) -> float:
    """Return a change for the worse as a share of the old value: 5 % more CPU, or 5 % less goodput."""
    return -math.expm1(-log_ratio) if metric in HIGHER_IS_BETTER else math.expm1(log_ratio)
