"""Calibration: runs of the same code compared with one another, to know what a gate can see. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from itertools import pairwise

import msgspec

from ipclab.compare import baselines, conditions, rules
from ipclab.compare.digest import Digest, Metric
from ipclab.compare.rules import Judgement

SCHEMA_VERSION = 1


class CalibratedMetric(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One metric of one row.

    ``deviation``  the largest standard deviation of the logarithms within a run.
    ``floor``      how far two runs lie apart, as a share.
    ``visible``    the change for the worse that a gate would have claimed in 80 % of such comparisons, as a
                   share of the old value; None where it would have claimed none.
    ``gated``      whether the exit code would depend on it in every comparison.
    ``claims``     in how many of the comparisons it was called worse or better, which is wrong.
    """

    row: str
    metric: Metric
    repeats: int
    deviation: float | None
    floor: float
    visible: float | None
    gated: bool
    claims: int


class Calibration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``ipclab_calibration`` is the version of this schema; ``comparisons`` are of each run with the next."""

    ipclab_calibration: int
    experiment: str
    runs: int
    comparisons: int
    busy: bool
    metrics: list[CalibratedMetric]


def calibrate(runs: Sequence[Digest]) -> Calibration:
    """Return what a gate could see, from two or more runs of the same code.

    Raise UsageError where the conditions do not allow a comparison.
    """
    floors = baselines.floors(runs)
    found: dict[tuple[str, Metric], list[Judgement]] = {}
    for old, new in pairwise(runs):
        conditions.require_same(old, new)
        before = {row.key: row for row in old.rows}
        pairs = [(before[row.key], row) for row in new.rows if row.key in before]
        for (_, row), judged in zip(pairs, rules.judge(pairs, floors), strict=True):
            for one in judged:
                found.setdefault((row.key.text, one.metric), []).append(one)
    return Calibration(
        ipclab_calibration=SCHEMA_VERSION,
        experiment=runs[-1].experiment,
        runs=len(runs),
        comparisons=len(runs) - 1,
        busy=any(map(conditions.busy, runs)),
        metrics=[_metric(row, metric, judged) for (row, metric), judged in found.items()],
    )


def _metric(row: str, metric: Metric, judged: Sequence[Judgement]) -> CalibratedMetric:
    seen = [one.visible for one in judged if one.visible is not None]
    spreads = [one.deviation for one in judged if one.deviation is not None]
    floors = [one.floor for one in judged if one.floor is not None]
    return CalibratedMetric(
        row=row,
        metric=metric,
        repeats=int(statistics.median(one.new_repeats for one in judged)),
        deviation=max(spreads, default=None),
        floor=max(floors, default=0.0),
        visible=max(seen) if seen and len(seen) == len(judged) else None,
        gated=all(one.gated for one in judged),
        claims=sum(one.word in ("worse", "better") for one in judged),
    )
