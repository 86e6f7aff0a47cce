"""The tables of a run as a template needs them: cells with figures to sort by, marks with links."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.report.html import signs
from ipclab.report.html.run import Run
from ipclab.report.layout import Block, Line, Section

_MARKS = re.compile("([⁰¹²³⁴⁵⁶⁷⁸⁹]+)")
_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a cell: text, a mark that leads to the element ``link``, or a line break."""

    text: str
    link: str = ""
    breaks: bool = False


@dataclass(frozen=True, slots=True)
class Cell:
    """``value`` is what its column is sorted by, None where it has no figure; ``tone`` is its CSS class."""

    parts: tuple[Part, ...]
    value: float | None
    right: bool
    tone: str
    mark: str


@dataclass(frozen=True, slots=True)
class Column:
    """A header; ``sortable`` where its cells have figures."""

    title: str
    right: bool
    sortable: bool


@dataclass(frozen=True, slots=True)
class Grid:
    """One table: by group, the name and the cells of each row, and the advice that follows."""

    title: str
    columns: tuple[Column, ...]
    groups: tuple[tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...], tuple[str, ...]], ...]


def grids(run: Run, sections: Sequence[Section]) -> list[Grid]:
    """Return these sections of the run's table."""
    return [_grid(run, section) for section in sections]


def _grid(run: Run, section: Section) -> Grid:
    lines = [line for block in section.blocks for line in block.lines]
    columns = tuple(
        Column(
            title=head.full.replace("\n", " "),
            right=head.right,
            sortable=any(line.values and line.values[place] is not None for line in lines),
        )
        for place, head in enumerate(section.heads)
    )
    return Grid(section.title, columns, tuple(_group(run, section, block) for block in section.blocks))


def _group(
    run: Run, section: Section, block: Block
) -> tuple[str, tuple[tuple[str, tuple[Cell, ...]], ...], tuple[str, ...]]:
    keys = [place for place, head in enumerate(section.heads) if head.key]
    rows = tuple((line.cells[keys[-1] if keys else 0], _cells(run, section, line)) for line in block.lines)
    return block.title, rows, block.advice


def _cells(run: Run, section: Section, line: Line) -> tuple[Cell, ...]:
    found = []
    for place, (head, text) in enumerate(zip(section.heads, line.cells, strict=True)):
        last = place == len(line.cells) - 1
        word = line.words[place] if line.words else line.verdict if last else None
        sign = signs.of_word(word) if word is not None else None
        found.append(
            Cell(
                parts=tuple(_parts(run, text)),
                value=line.values[place] if line.values else None,
                right=head.right,
                tone=sign.tone if sign else "",
                mark=sign.mark if sign else "",
            )
        )
    return tuple(found)


def _parts(run: Run, text: str) -> list[Part]:
    exhibits = {found.number for found in run.table.evidence}
    parts = []
    for number, line in enumerate(text.split("\n")):
        if number:
            parts.append(Part("", breaks=True))
        for piece in filter(None, _MARKS.split(line)):
            known = int(piece.translate(_DIGITS)) if _MARKS.fullmatch(piece) else 0
            kind = "e" if known in exhibits else "p"
            parts.append(Part(piece, link=f"{run.name}-{kind}{known}" if known else ""))
    return parts
