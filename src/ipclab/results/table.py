"""A result as a table: text in rows and columns, ready for any renderer, with a word on every mark in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.backends.base import Face
from ipclab.results import groups, heading, notes, rows, units
from ipclab.results.columns import VERDICT, columns
from ipclab.results.result import Result
from ipclab.results.row import Row
from ipclab.results.verdict import Word

_TITLES: dict[Face, str] = {
    "channel": "Messages",
    "counter": "A shared counter",
    "register": "A shared register",
    "lock": "A lock",
}


@dataclass(frozen=True, slots=True)
class Head:
    """A column's header, and how it may be shown: see ``ipclab.results.columns.Column``."""

    text: str
    full: str
    right: bool
    key: bool
    flexible: bool
    optional: bool


@dataclass(frozen=True, slots=True)
class Line:
    """The cells of a row; its verdict stands in the last one."""

    cells: tuple[str, ...]
    verdict: Word


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that may be compared with one another."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """Blocks with the same columns."""

    title: str
    heads: tuple[Head, ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """``unavailable`` has a backend and the reason each; ``problems`` what is behind bad verdicts."""

    title: str
    heading: tuple[str, ...]
    sections: tuple[Section, ...]
    unavailable: tuple[tuple[str, str], ...]
    problems: tuple[str, ...]
    footnotes: tuple[str, ...]
    closing: str


def ranked_rows(result: Result) -> list[Row]:
    """The rows of a result in the order of the table, with group and rank. Raises ResultsError for an
    unreadable histogram."""
    return [row for group in groups.groups(rows.rows(result.trials)) for row in group.rows]


def table(result: Result) -> Table:
    """The table of a result, finished or not. Raises ResultsError for an unreadable histogram."""
    found = ranked_rows(result)
    problems: list[str] = []
    sections = [
        _section(title, members, problems)
        for kind, title in _TITLES.items()
        if (members := [row for row in found if row.kind == kind])
    ]
    return Table(
        title=f"{result.experiment}: {result.question}",
        heading=tuple(heading.heading(result)),
        sections=tuple(sections),
        unavailable=tuple((gone.backend, gone.reason) for gone in result.unavailable),
        problems=tuple(problems),
        footnotes=tuple(notes.footnotes(result, found, _cells(sections))),
        closing=notes.closing(found, len(result.unavailable)),
    )


def _section(title: str, members: Sequence[Row], problems: list[str]) -> Section:
    shown = columns(members)
    blocks: dict[str, list[Line]] = {}
    for row in members:
        cells = [column.cell(row) for column in shown]
        if row.reasons:
            problems.append(f"{row.backend} {row.shape}: {'; '.join(row.reasons)}")
            cells[shown.index(VERDICT)] += units.superscript(len(problems))
        blocks.setdefault(row.group, []).append(Line(tuple(cells), row.verdict))
    return Section(
        title=title,
        heads=tuple(
            Head(c.header, c.full or c.header, c.right, c.key, c.flexible, c.optional) for c in shown
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
