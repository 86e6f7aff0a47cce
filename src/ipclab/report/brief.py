"""A result in a few lines: the best rows of each class of guarantees, what was lost, and the verdict."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len

from ipclab.host.texts import tr
from ipclab.report import capacity_table, curve_table, family, heading, jobs_table, notes
from ipclab.report.look import Look
from ipclab.report.safety_table import closing
from ipclab.report.table import ranked_rows
from ipclab.results import busy, searches, units
from ipclab.results.capacity import Capacity, capacities
from ipclab.results.result import Result
from ipclab.results.rows.row import Row
from ipclab.results.safety.cells import make_cells
from ipclab.results.sweeps import RateCurve, rate_curves
from ipclab.results.units import NOT_APPLICABLE, NOT_TOLD
from ipclab.results.verdict import SOUND

MOST_CLASSES = 7
"""The number of classes whose best row is shown, so that there are ten lines in all."""


def render(result: Result, look: Look) -> str:
    """Return about ten lines, none wider than ``look.width``. Raise ResultsError for an unreadable
    histogram."""
    rows = ranked_rows(result)
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.group, []).append(row)
    cells = make_cells(result.trials)
    warning = busy.warning(result)
    found, alone = capacities(result.trials), searches.machine(result.trials)
    curves = rate_curves(result.trials)
    other = cells or curves or alone is not None
    said = [notes.closing(rows, len(result.unavailable))] if rows or not other else []
    said += [capacity_table.closing(found, alone)] if alone is not None else []
    said += [curve_table.curve_part(result.trials).closing] if curves else []
    said += [closing(cells)] if cells else []
    said += [answer] if (answer := jobs_table.closing(result)) else []
    said += [warning] if warning else []
    lines = [f"{result.experiment}: {tr(result.question)}"]
    shown = list(groups.items())[:MOST_CLASSES]
    lines += [_best(title, members) for title, members in shown]
    lines += [*map(_capacity, found), *map(_curve, curves)]
    if more := len(groups) - len(shown):
        lines.append(tr("… and {more} more", more=units.of(more, "class", "classes")))
    if not result.complete:
        lines.append(heading.lines(result)[-1])
    return "".join(f"{_cut(line, look.width)}\n" for line in lines) + "".join(f"{line}\n" for line in said)


def _best(title: str, rows: Sequence[Row]) -> str:
    """Return the first of the rows that did what they declare, with those that share its rank."""
    sound = [row for row in rows if row.verdict in SOUND and row.speed is not None]
    if not sound:
        worst = rows[0]
        return f"{NOT_APPLICABLE} {worst.verdict}: {_name(worst)} · {title}"
    first = sound[0]
    tied = [row for row in sound[1:] if row.rank is not None and row.rank == first.rank]
    names = ", ".join(_name(row) for row in (first, *tied))
    said = tr(
        "{first}, lost {first2}, {verdict}", first=_figures(first), first2=_lost(first), verdict=first.verdict
    )
    return f"{family.of(first.name).sign} {said}: {names} · {title}"


def _capacity(row: Capacity) -> str:
    return f"{family.of(row.name).sign} {capacity_table.capacity(row)}: {_name(row)} · {row.group}"


def _curve(curve: RateCurve) -> str:
    known = [point for point in curve.points if point.rate_per_s == curve.knee_per_s and point.p50_ns]
    knees = [
        tr("knee at {rate}, p50 {p50}", rate=units.end_rate(p.rate_per_s), p50=units.duration(p.p50_ns or 0))
        for p in known
    ]
    return f"{family.of(curve.name).sign} {knees[0] if knees else tr('no knee')}: {curve.way}"


def _name(row: Row | Capacity) -> str:
    batch = tr(" window {window}", window=row.window) if row.window and row.window > 1 else ""
    return row.way + batch


def _figures(row: Row) -> str:
    rate = row.goodput_per_s or row.round_trips_per_s or row.shared_per_s
    found = [units.rate(rate.median, rate.spread)] if rate else []
    latency = row.end_to_end or (None if row.one_way_withheld else row.round_trip)
    if latency is not None and latency.p50_ns is not None:
        found.append(f"p50 {units.duration(latency.p50_ns)}")
    return ", ".join(found)


def _lost(row: Row) -> str:
    if row.updates is not None:
        return units.percent(row.updates.lost_share)
    if row.messages is None:
        return NOT_APPLICABLE
    return NOT_TOLD if row.messages.unaccounted and not row.messages.lost else units.count(row.messages.lost)


def _cut(line: str, width: int) -> str:
    """Return the line, cut where it is too wide: a brief line is for one line of the terminal."""
    if cell_len(line) <= width:
        return line
    while line and cell_len(line) > width - 1:
        line = line[:-1]
    return f"{line.rstrip()}…"
