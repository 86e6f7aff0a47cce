"""A result as text for a terminal, in colour where that is wanted. Returns strings; writes nothing."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TextIO

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table as Grid
from rich.text import Text

from ipclab.host.texts import tr
from ipclab.host.wrapping import units, wrap
from ipclab.report import brief, table
from ipclab.report.layout import EVIDENCE, Block, Evidence, Head, Line, Section, Table
from ipclab.report.look import WIDTH, Look
from ipclab.results.result import Result
from ipclab.results.verdict import Word

_MOST_FLEXIBLE = 40
_NARROWEST_CHINESE = 24
_PIECES = re.compile(r"[^\s=-]*(?:[=-]|\s+|$)")
"""The pieces into which a word may be broken: up to and including a space, ``-`` or ``=``."""
_STYLES: dict[Word, str] = {"kept": "green", "unsafe": "yellow", "unknown": "yellow"}
_BAD = "bold red"
EVIDENCE_SHOWN = 8
"""Trials of evidence that a terminal shows; ``table.md`` has all of them."""


def wants_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether to colour this stream: it is a terminal and ``NO_COLOR`` is unset (no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def render(result: Result, look: Look) -> str:
    """Return the table of a result. Raise ResultsError for an unreadable histogram."""
    if look.brief:
        return brief.render(result, look)
    shown = table.make(result)
    if not look.notes:
        shown = replace(shown, footnotes=())
    return text(shown, width=look.width, colour=look.colour, folder=look.folder)


def text(shown: Table, *, width: int = WIDTH, colour: bool = False, folder: str = "") -> str:
    """Return the table as text for a terminal of this width. ``folder`` is the folder of the run, if known.

    No cell is cut short: where the columns do not fit side by side, they are shown in several parts, each of
    which begins with the columns that name the row.
    """
    out = io.StringIO()
    console = _console(out, width, colour=colour)
    _say(console, shown.title, "bold")
    for line in shown.heading:
        _say(console, line, "dim")
    for section in shown.sections:
        for places in _parts(section, console.width):
            console.print()
            _section(console, section, places)
    if shown.unavailable:
        console.print()
        console.print(Text(tr("Unavailable, so not measured"), style="bold"))
        for backend, reason in shown.unavailable:
            _say(console, f"{backend}: {reason}")
    if shown.evidence:
        console.print()
        _evidence(console, shown.evidence, folder)
    console.print()
    for number, problem in enumerate(shown.problems, 1):
        _say(console, f"{number}  {problem}", "red")
    for note in shown.footnotes:
        _say(console, note, "dim")
    _say(console, shown.closing, "bold")
    if shown.busy:
        _say(console, shown.busy, "bold yellow")
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def columns(header: Sequence[str], rows: Sequence[Sequence[str]], *, width: int, colour: bool = False) -> str:
    """Return rows under their header in aligned columns, for a terminal of this width.

    No cell is cut short and no word is broken that fits: where the columns do not fit side by side, they are
    shown one part after the other, each beginning with the first column.
    """
    heads = tuple(Head(name, name, False, not place, bool(place), False) for place, name in enumerate(header))
    lines = tuple(Line(tuple(row), "kept", (None,) * len(header)) for row in rows)
    section = Section("", heads, (Block("", lines),))
    out = io.StringIO()
    console = _console(out, width, colour=colour)
    for number, places in enumerate(_parts(section, console.width)):
        if number:
            console.print()
        _section(console, section, places)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _console(out: TextIO, width: int, *, colour: bool) -> Console:
    return Console(
        file=out,
        width=max(width, 40),
        force_terminal=colour,
        color_system="standard" if colour else None,
        no_color=not colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )


def _say(console: Console, what: str, style: str = "") -> None:
    """Print a line of prose, wrapped at words."""
    console.print(Text("\n".join(wrap(what, console.width)), style=style), soft_wrap=True)


def _evidence(console: Console, evidence: Sequence[Evidence], folder: str) -> None:
    """Print some of the evidence, that of broken guarantees first."""
    console.print(Text(tr("Evidence"), style="bold"))
    _say(console, f"{tr(EVIDENCE).replace('`', '')}.", "dim")
    chosen = sorted(evidence, key=lambda found: not found.broken)[:EVIDENCE_SHOWN]
    for found in sorted(chosen, key=lambda found: found.number):
        like = tr(" · similar to {like}", like=found.like) if found.like is not None else ""
        style = "red" if found.broken else ""
        line = f"{found.number}  {found.row} · {found.fault}: {found.finding}{like}"
        _say(console, line, style)
        if found.history:
            # On one line however long it is, to be copied whole.
            console.print(Text(f"   {found.check(folder)}"), soft_wrap=True)
        if found.timeline:
            # Wrapped lanes would be unreadable: on a narrow terminal they are wider than it is.
            console.print(Text(found.timeline), soft_wrap=True)
    if more := len(evidence) - len(chosen):
        _say(console, tr("… and {more} more: table.md, in the folder of the run, has all of them", more=more))


def _section(console: Console, section: Section, places: Sequence[int]) -> None:
    widths = _widths(section, places, console.width)
    heads = [section.heads[place] for place in places]
    console.print(_grid(heads, widths, [Text(head.text, style="bold") for head in heads]))
    for number, block in enumerate(section.blocks):
        if number:
            console.print()
        if block.title:
            console.print(Text(block.title, style="bold cyan"))
        for line in block.lines:
            cells = [_cell(line, place, width) for place, width in zip(places, widths, strict=True)]
            console.print(_grid(heads, widths, cells))
        for sentence in block.advice:
            _say(console, f"→ {sentence}", "italic")


def _grid(heads: Sequence[Head], widths: Sequence[int], cells: Sequence[Text]) -> Grid:
    grid = Grid.grid(padding=(0, 1, 0, 0), pad_edge=False)
    for head, width in zip(heads, widths, strict=True):
        grid.add_column(width=width, justify="right" if head.right else "left")
    grid.add_row(*cells)
    return grid


def _cell(line: Line, place: int, width: int) -> Text:
    last = place == len(line.cells) - 1
    word = line.words[place] if line.words else line.verdict if last else None
    style = _STYLES.get(word, _BAD) if word else ""
    return Text("\n".join(_wrapped(part, width) for part in line.cells[place].split("\n")), style=style)


def _wrapped(cell: str, width: int) -> str:
    """Return the cell broken into lines after spaces, and too wide words after ``-`` and ``=``."""
    lines = [""]
    for piece in _pieces(cell, width):
        if lines[-1] and cell_len(lines[-1] + piece.rstrip()) > width:
            lines.append(" " if cell_len(piece.rstrip()) < width else "")
        lines[-1] += piece
    return "\n".join(line.rstrip() for line in lines)


def _pieces(cell: str, width: int) -> Iterator[str]:
    for word in units(cell):
        yield from [word] if cell_len(word.rstrip()) < width else _PIECES.findall(word)


def _parts(section: Section, width: int) -> list[list[int]]:
    """Return which columns to show together, so that each part fits: all of them where there is room."""
    places = list(range(len(section.heads)))
    least = [_least(section, place) + 1 for place in places]
    for place in [place for place in reversed(places) if section.heads[place].optional]:
        if sum(least[shown] for shown in places) - 1 > width:
            places.remove(place)
    keys = [place for place in places if section.heads[place].key]
    room = width + 1 - sum(least[place] for place in keys)
    parts, left = [list(keys)], room
    for place in places:
        if place in keys:
            continue
        if least[place] > left and len(parts[-1]) > len(keys):
            parts.append(list(keys))
            left = room
        parts[-1].append(place)
        left -= least[place]
    return parts


def _widths(section: Section, places: Sequence[int], width: int) -> list[int]:
    """Return the widths: the least that each column needs, and the rest for the flexible ones, each time for
    the one that is farthest from its wanted width.
    """
    widths = [_least(section, place) for place in places]
    wanted = {
        i: min(max(map(cell_len, _lines(section, place)), default=0), _MOST_FLEXIBLE)
        for i, place in enumerate(places)
        if section.heads[place].flexible
    }
    for _ in range(width - sum(widths) - len(widths) + 1):
        tightest = max(wanted, key=lambda i: wanted[i] / max(widths[i], 1), default=None)
        if tightest is None or wanted[tightest] <= widths[tightest]:
            break
        widths[tightest] += 1
    return widths


def _least(section: Section, place: int) -> int:
    head = section.heads[place]
    texts = head.text.split("\n")
    for cell in _column(section, place):
        texts += _smallest(cell) if head.flexible else [cell]
    return max(map(cell_len, texts), default=0)


def _smallest(cell: str) -> list[str]:
    """Return the parts of a cell that share no line with others where the column is as narrow as it may be.

    Chinese text may be broken after almost every character, but is not to be read down a column of them.
    """
    if cell_len(cell) > len(cell):
        return wrap(cell, _NARROWEST_CHINESE)
    return [piece.rstrip() for piece in _PIECES.findall(cell)]


def _lines(section: Section, place: int) -> list[str]:
    return [line for cell in _column(section, place) for line in cell.split("\n")]


def _column(section: Section, place: int) -> list[str]:
    return [line.cells[place] for block in section.blocks for line in block.lines]
