"""Build the table of a result: text in rows and columns with footnotes, ready for any renderer."""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.backends.base import Face
from ipclab.faults import applicability
from ipclab.host.texts import mark, tr
from ipclab.report import columns, heading, jobs_table, notes
from ipclab.report.capacity_table import capacity_part
from ipclab.report.columns import VERDICT
from ipclab.report.curve_table import curve_part
from ipclab.report.layout import Block, Head, Line, Section, Table
from ipclab.report.safety_table import safety_part
from ipclab.results import busy, units
from ipclab.results.reasons import WhyNot
from ipclab.results.result import Result
from ipclab.results.rows import build, groups
from ipclab.results.rows.row import Row
from ipclab.trial.spec import TrialSpec

_TITLES: dict[Face, str] = {
    "channel": mark("Messages"),
    "counter": mark("A shared counter"),
    "register": mark("A shared register"),
    "lock": mark("A lock"),
    "task": mark("Task queues"),
}


def ranked_rows(result: Result) -> list[Row]:
    """Return the rows of a result in the order of the table, with group and rank.

    Raise ResultsError for an unreadable histogram.
    """
    return [row for group in groups.form(build.rows(result.trials)) for row in group.rows]


def _why_not(spec: TrialSpec) -> str:
    """Return why the fault of a trial does not apply to its backend; empty where it does."""
    return applicability.why_not(spec.fault, spec.backend)


def make(result: Result, why_not: WhyNot = _why_not, rows: Sequence[Row] | None = None) -> Table:
    """Return the table of a result, finished or not. Raise ResultsError for an unreadable histogram.

    ``why_not`` returns why a fault that a backend did not suffer does not apply to it. ``rows`` are those of
    ``ranked_rows()``, where the caller has them already.
    """
    found = ranked_rows(result) if rows is None else rows
    problems: list[str] = []
    sections = [
        _section(tr(title), members, problems)
        for kind, title in _TITLES.items()
        if (members := [row for row in found if row.kind == kind])
    ]
    capacity = capacity_part(result.trials, marks_taken=len(problems))
    problems += capacity.problems
    curve = curve_part(result.trials)
    safety = safety_part(result.trials, why_not, marks_taken=len(problems))
    other = safety.sections or capacity.closing or curve.closing
    judged = notes.closing(found, len(result.unavailable)) if found or not other else ""
    return Table(
        title=f"{result.experiment}: {tr(result.question)}",
        heading=tuple(heading.lines(result)),
        sections=(
            *jobs_table.section(result),
            *sections,
            *capacity.sections,
            *curve.sections,
            *safety.sections,
        ),
        unavailable=tuple((gone.backend, gone.reason) for gone in result.unavailable),
        problems=tuple(problems),
        footnotes=(
            *notes.footnotes(result, found, _cells(sections)),
            *capacity.footnotes,
            *curve.footnotes,
            *safety.footnotes,
        ),
        busy=busy.warning(result),
        closing=" ".join(
            said
            for said in (jobs_table.closing(result), judged, capacity.closing, curve.closing, safety.closing)
            if said
        ),
        evidence=safety.evidence,
    )


def _section(title: str, members: Sequence[Row], problems: list[str]) -> Section:
    shown = columns.choose(members)
    blocks: dict[str, list[Line]] = {}
    for row in members:
        cells = [column.cell(row) for column in shown]
        if row.reasons:
            problems.append(f"{row.backend} {row.shape}: {'; '.join(row.reasons)}")
            cells[shown.index(VERDICT)] += units.superscript(len(problems))
        values = tuple(column.value(row) if column.value else None for column in shown)
        blocks.setdefault(row.group, []).append(Line(tuple(cells), row.verdict, values=values))
    return Section(
        title=title,
        heads=tuple(
            Head(tr(c.header), tr(c.full or c.header), c.right, c.key, c.flexible, c.optional) for c in shown
        ),
        blocks=tuple(Block(name, tuple(lines)) for name, lines in blocks.items()),
    )


def _cells(sections: Sequence[Section]) -> set[str]:
    return {
        cell
        for section in sections
        for block in section.blocks
        for line in block.lines
        for cell in line.cells
    }
