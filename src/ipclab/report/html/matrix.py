"""When something fails: the fault matrix with a sign and words in each cell, and the evidence behind it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from ipclab.faults.spec import TARGETS
from ipclab.host.texts import tr
from ipclab.report.html import signs
from ipclab.report.html.run import Run
from ipclab.report.html.signs import Sign
from ipclab.report.layout import Brief, Line, Section

_SEAM = re.compile(r"(?<=[a-z.])(?=[A-Z(])|(?<=[A-Za-z_]\.)(?=\w)")
"""Within names such as ``BrokenPipeError`` and ``Queue.get``."""


@dataclass(frozen=True, slots=True)
class Spot:
    """A cell of the matrix. ``full`` has everything that was seen; ``evidence`` is the number of the first
    exhibit, None where there is none. ``sign`` is None where there was no trial."""

    sign: Sign | None
    text: str
    full: str
    evidence: int | None

    @property
    def pieces(self) -> list[str]:
        """Return the text in parts between which a line may be broken."""
        return _SEAM.split(self.text)


@dataclass(frozen=True, slots=True)
class Columns:
    """The faults of one target."""

    target: str
    actions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Matrix:
    """``groups`` has, by class of guarantees, the name of each row with a cell for each fault."""

    columns: tuple[Columns, ...]
    groups: tuple[tuple[str, tuple[tuple[str, tuple[Spot, ...]], ...]], ...]

    @property
    def width(self) -> int:
        """Return the number of columns with faults."""
        return sum(len(column.actions) for column in self.columns)


def make(run: Run) -> Matrix | None:
    """Return the fault matrix of a run; None where it has none."""
    sections = {s.target: s for s in run.table.sections if s.target is not None}
    if not sections:
        return None
    parts = [sections[target] for target in TARGETS if target in sections]
    columns = tuple(Columns(str(s.target), tuple(head.full for head in s.heads[1:])) for s in parts)
    titles = list(dict.fromkeys(block.title for section in parts for block in section.blocks))
    return Matrix(columns, tuple((title, _group(parts, title)) for title in titles))


def _group(parts: Sequence[Section], title: str) -> tuple[tuple[str, tuple[Spot, ...]], ...]:
    lines = [_lines(section, title) for section in parts]
    names = dict.fromkeys(name for known in lines for name in known)
    return tuple(
        (
            name,
            tuple(
                spot
                for section, known in zip(parts, lines, strict=True)
                for spot in _spots(known.get(name), len(section.heads) - 1)
            ),
        )
        for name in names
    )


def _lines(section: Section, title: str) -> dict[str, Line]:
    return {line.cells[0]: line for b in section.blocks if b.title == title for line in b.lines}


def _spots(line: Line | None, many: int) -> list[Spot]:
    if line is None:
        return [Spot(None, "", tr("no fault of this target was tried on it"), None)] * many
    return [_spot(brief, cell) for brief, cell in zip(line.briefs[1:], line.cells[1:], strict=True)]


def _spot(brief: Brief | None, full: str) -> Spot:
    if brief is None:
        return Spot(None, full, full, None)
    sign = signs.of_cell(brief.verdict)
    match brief.verdict:
        case "kept":
            text = "kept"
        case "refused" | "unknown" | "failed":
            text = sign.word
        case "broken":
            text = f"{sign.word}: {brief.text}"
        case "declared" | "stopped" | "hung":
            text = brief.text
        case _:
            assert_never(brief.verdict)
    return Spot(sign, text, full, brief.evidence[0] if brief.evidence else None)
