"""A trend as text for a terminal: a line a row and metric, drawn with blocks, and what changed below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from ipclab.compare.trend import Point, Series, Trend
from ipclab.host.texts import tr
from ipclab.report.comparison.words import NAMES, signed, value
from ipclab.report.look import Look
from ipclab.report.trend.words import changes, not_kept
from ipclab.results import units

_BLOCKS = "▁▂▃▄▅▆▇█"
_GAP = " "
_CHANGED, _PARTED = "^", "|"
_LEAST_RUNS = 8


def render(trend: Trend, look: Look) -> str:
    """Return the trend. Where the runs are more than the width has room for, the last of them are drawn."""
    names = [f"{series.key.text} · {NAMES.get(series.metric, series.metric)}" for series in trend.series]
    label = max(map(cell_len, names), default=0)
    room = max(look.width - label - 34, _LEAST_RUNS)
    points = trend.points[-room:]
    left_out = len(trend.points) - len(points)
    out = [
        tr(
            "{experiment}: {points}, the oldest first",
            experiment=trend.experiment,
            points=units.of(len(trend.points), "run"),
        )
    ]
    if left_out:
        out.append(tr("the first {left_out} of them are not drawn; --format csv has all", left_out=left_out))
    out.append("")
    for name, series in zip(names, trend.series, strict=True):
        medians = series.medians[-room:]
        out.append(f"{_padded(name, label)}  {_drawn(medians)}  {_ends(series, medians)}".rstrip())
    marks = "".join(_mark(point) for point in points)
    if marks.strip():
        out.append(f"{_padded('', label)}  {marks}".rstrip())
    out.append("")
    out += [f"{_PARTED if change.parts else _CHANGED} {change.text}" for change in changes(points)]
    out += [f"! {said}" for said in not_kept(trend)]
    return "\n".join(out).rstrip() + "\n"


def _drawn(medians: Sequence[float | None]) -> str:
    known = [median for median in medians if median is not None]
    low, high = min(known, default=0.0), max(known, default=0.0)
    drawn = []
    for median in medians:
        if median is None:
            drawn.append(_GAP)
        else:
            share = (median - low) / (high - low) if high > low else 0.5
            drawn.append(_BLOCKS[round(share * (len(_BLOCKS) - 1))])
    return "".join(drawn)


def _ends(series: Series, medians: Sequence[float | None]) -> str:
    known = [median for median in medians if median is not None]
    if not known:
        return ""
    first, last = known[0], known[-1]
    change = f" ({signed(last / first - 1)})" if len(known) > 1 and first else ""
    return f"{value(series.metric, first)} → {value(series.metric, last)}{change}"


def _mark(point: Point) -> str:
    if point.incomparable:
        return _PARTED
    return _CHANGED if point.changes else " "


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))
