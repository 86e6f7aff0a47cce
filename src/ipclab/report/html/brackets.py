"""The capacity of each backend: a band between two rates, open where an end is not known."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from ipclab.host.texts import tr
from ipclab.report import capacity_table, family
from ipclab.report.html.run import Run
from ipclab.report.html.svg import axis
from ipclab.report.html.svg.element import draw, group
from ipclab.report.html.svg.label import lines_of_text, text, wrapped
from ipclab.report.html.svg.mark import band, draw_mark, line, tick
from ipclab.report.html.svg.picture import Picture
from ipclab.report.html.svg.scale import Log, spanning
from ipclab.results import units
from ipclab.results.capacity import Capacity, capacities

_WIDTH, _LEFT, _RIGHT, _TOP = 380.0, 12.0, 360.0, 10.0
_FONT, _STEP = 12.5, 15.0


def pictures(run: Run) -> list[Picture]:
    """Return the picture of a run's capacities; none where it has none."""
    rows = capacities(run.result.trials)
    known = [rate for row in rows for rate in (row.low_per_s, row.high_per_s) if rate is not None]
    if not known:
        return []
    scale = spanning(known, _LEFT, _RIGHT)
    y, drawn, title = _TOP, [], ""
    for row in rows:
        if row.group != title:
            title = row.group
            lines = wrapped(title, _WIDTH - 8, _FONT)
            drawn += lines_of_text(0, y + _STEP, lines, _STEP, "group")
            y += _STEP * len(lines) + 8
        marks, y = _row(row, scale, y)
        drawn.append(marks)
    grid = axis.upright(scale, _TOP, y, units.rate_tick)
    return [
        Picture(
            f"{run.name}-capacities",
            _WIDTH,
            y + 24,
            tr("The rates between which the capacity of each backend lies"),
            tr(
                "{backends} on a logarithmic scale of messages a second: a band from the rate that holds to "
                "the rate that fails, and a line with an open end where one of them is not known.",
                backends=units.of(len(rows), "backend"),
            ),
            (*grid, *drawn),
        )
    ]


def _row(row: Capacity, scale: Log, y: float) -> tuple[Markup, float]:
    """Return what is drawn of a row that begins at a height, and the height at which it ends."""
    name = row.way + (f" · {row.window}" if row.window > 1 else "")
    said = wrapped(f"{name}: {capacity_table.capacity(row)}", _WIDTH - 8, _FONT)
    bottom = y + _STEP * len(said) + 10
    kind = family.of(row.name)
    label = group({"class": f"fam-{kind.name}"}, [draw_mark(kind.shape, 5, y + 10, 3.6)])
    parts: Sequence[Markup] = [
        draw("title", None, f"{name}: {capacity_table.capacity(row)}"),
        label,
        *lines_of_text(14, y + 14, said, _STEP, "figure"),
        group({"class": f"fam-{kind.name}"}, _marks(row, scale, bottom)),
    ]
    return group({"class": "row", "data-row": name}, parts), bottom + 16


def _marks(row: Capacity, scale: Log, y: float) -> list[Markup]:
    low, high = row.low_per_s, row.high_per_s
    if low is not None and high is not None:
        return [band(scale(low), scale(high), y), tick(scale(low), y), tick(scale(high), y)]
    if low is not None:
        return [line(scale(low), y, scale.last, y, "faint"), tick(scale(low), y)]
    if high is not None:
        return [line(scale.first, y, scale(high), y, "faint"), tick(scale(high), y)]
    return [text(scale.first, y + 4, units.NOT_TOLD, "missing")]
