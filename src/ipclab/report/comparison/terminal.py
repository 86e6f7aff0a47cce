"""A comparison as text for a terminal, the worst first."""

from __future__ import annotations

import io
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from ipclab.compare.comparison import Comparison
from ipclab.compare.rules import Word
from ipclab.host.texts import mark, tr
from ipclab.host.wrapping import wrap
from ipclab.report.comparison.words import Line, closing, heading, lines, warnings
from ipclab.report.look import Look

_STYLES: dict[Word, str] = {"worse": "bold red", "undecided": "yellow", "better": "green", "same": ""}
_HEADS = (
    "",
    mark("row"),
    mark("metric"),
    mark("old"),
    mark("new"),
    mark("change"),
    mark("95 % interval"),
    mark("would\nhave seen"),
)


def render(comparison: Comparison, look: Look) -> str:
    """Return the comparison. No cell is cut short: long ones are broken into lines."""
    out = io.StringIO()
    console = Console(
        file=out,
        width=max(look.width, 60),
        force_terminal=look.colour,
        color_system="standard" if look.colour else None,
        no_color=not look.colour,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    against = tr("old against new") if comparison.old else tr("one run, by its declarations and limits")
    console.print(Text(f"{comparison.experiment}: {against}", style="bold"))
    for said in heading(comparison):
        _say(console, said, "dim")
    for said in warnings(comparison):
        _say(console, said, "bold yellow")
    everything = lines(comparison)
    gating = [line for line in everything if line.gates]
    shown = [line for line in everything if not line.gates]
    for title, some in ((tr("What counts"), gating), (tr("Shown only, as it cannot fail a gate"), shown)):
        if some:
            console.print()
            console.print(Text(title, style="bold cyan"))
            console.print(_grid(some))
    said_why = [line for line in gating if line.evidence and line.word != "same"]
    if said_why:
        console.print()
    for line in said_why:
        _say(console, f"{line.row}, {line.metric}: {line.evidence}", _STYLES[line.word])
    console.print()
    console.print(Text(closing(comparison), style=_STYLES[comparison.verdict] or "bold"))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _say(console: Console, what: str, style: str) -> None:
    """Print a line of prose, wrapped at words."""
    console.print(Text("\n".join(wrap(what, console.width)), style=style), soft_wrap=True)


def _grid(some: Sequence[Line]) -> Table:
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for head in _HEADS:
        right = head in ("old", "new", "change", "would\nhave seen")
        grid.add_column(tr(head), justify="right" if right else "left", overflow="fold")
    for line in some:
        cells = (line.row, line.metric, line.old, line.new, line.change, line.interval, line.visible)
        grid.add_row(Text(line.word, style=_STYLES[line.word]), *map(Text, cells))
    return grid
