"""Small plain tables for commands that list something."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence

from ipclab.cli.streams import out
from ipclab.host.text import escaped


def draw_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under their header, in aligned columns; long cells are wrapped, never cut."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    on_terminal = out().isatty()
    width = max(shutil.get_terminal_size().columns, 80) if on_terminal else 120
    console = Console(file=io.StringIO(), width=width, force_terminal=on_terminal, highlight=False)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for number, title in enumerate(header):
        drawn.add_column(title, overflow="fold", no_wrap=number == 0)
    for row in rows:
        drawn.add_row(*(Text(escaped(cell, lines=True)) for cell in row))
    console.print(drawn)
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines())
