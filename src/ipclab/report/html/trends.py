"""How the rows of an experiment went over its stored runs: a small line for each row and metric. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ipclab.compare.trend import Point, Series, Trend
from ipclab.report import family
from ipclab.report.comparison.words import NAMES, signed, value
from ipclab.report.html.svg.element import group
from ipclab.report.html.svg.mark import curve, draw_mark, line
from ipclab.report.html.svg.picture import Picture
from ipclab.report.html.svg.scale import Linear
from ipclab.report.trend.words import changes, not_kept
from ipclab.results import units

WIDTH, HEIGHT = 240.0, 34.0
_EDGE = 6.0
LEAST_RUNS = 2
"""Fewer runs than these make no line."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row and metric: the medians of its first and its last run in words, and the picture between."""

    row: str
    metric: str
    first: str
    last: str
    change: str
    picture: Markup


@dataclass(frozen=True, slots=True)
class TrendPart:
    """What the page shows of a trend. ``changes`` are the lines below the table, the oldest first."""

    name: str
    title: str
    lines: Sequence[Line]
    changes: Sequence[str]
    bad: Sequence[str]


def make(trend: Trend, number: int) -> TrendPart | None:
    """Return the part of the page for a trend, the ``number``-th; None where there are too few runs."""
    if len(trend.points) < LEAST_RUNS:
        return None
    return TrendPart(
        name=f"trend-{number}",
        title=f"{trend.experiment}: {units.of(len(trend.points), 'run')} over time",
        lines=[_line(trend, series, f"trend-{number}-{place}") for place, series in enumerate(trend.series)],
        changes=[change.text for change in changes(trend.points)],
        bad=[*not_kept(trend)],
    )


def _line(trend: Trend, series: Series, name: str) -> Line:
    known = [median for median in series.medians if median is not None]
    first, last = known[0], known[-1]
    return Line(
        row=series.key.text,
        metric=NAMES.get(series.metric, series.metric),
        first=value(series.metric, first),
        last=value(series.metric, last),
        change=signed(last / first - 1) if len(known) > 1 and first else units.NOT_APPLICABLE,
        picture=_picture(trend, series, name).inline("spark"),
    )


def _picture(trend: Trend, series: Series, name: str) -> Picture:
    known = [median for median in series.medians if median is not None]
    low, high = min(known), max(known)
    across = Linear(0.0, len(series.medians) - 1.0, _EDGE, WIDTH - _EDGE)
    up = Linear(low, high, HEIGHT - _EDGE, _EDGE) if high > low else None
    kind = family.of(re.split("[ :]", series.key.backend)[0])
    places = [
        None if median is None else (across(float(run)), up(median) if up else HEIGHT / 2)
        for run, median in enumerate(series.medians)
    ]
    marks = [draw_mark(kind.shape, *place, 2.6) for place in places if place]
    metric = NAMES.get(series.metric, series.metric)
    return Picture(
        name,
        WIDTH,
        HEIGHT,
        f"{series.key.text}: {metric} in each run",
        f"The median of {units.of(len(known), 'run')}, from {value(series.metric, low)} to "
        f"{value(series.metric, high)}. An upright line stands where the conditions changed.",
        (
            *(
                line(across(float(run)), 0, across(float(run)), HEIGHT, _kind(point))
                for run, point in enumerate(trend.points)
                if point.changes or point.incomparable
            ),
            group({"class": f"fam-{kind.name}"}, [*_curves(places), *marks]),
        ),
    )


def _curves(places: Sequence[tuple[float, float] | None]) -> list[Markup]:
    """Return the line through the places, interrupted where a run has none."""
    parts: list[list[tuple[float, float]]] = [[]]
    for place in places:
        if place is None:
            parts.append([])
        else:
            parts[-1].append(place)
    return [curve(part, "own") for part in parts if len(part) > 1]


def _kind(point: Point) -> str:
    return "parted" if point.incomparable else "changed"
