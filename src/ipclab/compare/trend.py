"""The runs of an experiment over time: each row's medians by run, and what changed between runs. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.compare import conditions
from ipclab.compare.conditions import Difference
from ipclab.compare.digest import METRICS, Digest, Metric, RowKey
from ipclab.results.verdict import Word


@dataclass(frozen=True, slots=True)
class Point:
    """One run of the series: its name, its beginning in UTC, and what changed since the run before.

    ``incomparable`` are changes that divide the series: another machine, shape, size or duration.
    """

    run: str
    began_utc: str
    ipclab: str
    python: str
    changes: tuple[Difference, ...]
    incomparable: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """The medians of one metric of one row, one per run; None where a run does not have it."""

    key: RowKey
    metric: Metric
    medians: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Trend:
    """``verdicts`` has the verdict of each row by run, None where a run does not have the row."""

    experiment: str
    points: tuple[Point, ...]
    series: tuple[Series, ...]
    verdicts: dict[RowKey, tuple[Word | None, ...]]


def follow(experiment: str, runs: Sequence[tuple[str, Digest]]) -> Trend:
    """Return the trend of some runs, each with its name, the oldest first."""
    digests = [run for _, run in runs]
    keys = list(dict.fromkeys(row.key for run in digests for row in run.rows))
    by_run = [{row.key: row for row in run.rows} for run in digests]
    series = []
    for key in keys:
        for metric in METRICS:
            found = [rows[key].values.get(metric, []) if key in rows else [] for rows in by_run]
            medians = tuple(statistics.median(values) if values else None for values in found)
            if any(median is not None for median in medians):
                series.append(Series(key, metric, medians))
    points = []
    for place, (name, run) in enumerate(runs):
        before = digests[place - 1] if place else run
        points.append(
            Point(
                run=name,
                began_utc=run.began_utc,
                ipclab=run.environment.ipclab,
                python=run.environment.python,
                changes=tuple(conditions.allowed(before, run)),
                incomparable=tuple(conditions.refused(before, run)),
            )
        )
    return Trend(
        experiment=experiment,
        points=tuple(points),
        series=tuple(series),
        verdicts={key: tuple(rows[key].verdict if key in rows else None for rows in by_run) for key in keys},
    )
