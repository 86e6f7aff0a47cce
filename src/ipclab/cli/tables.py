"""Small plain tables for commands that list something."""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.cli.streams import out, width
from ipclab.host.text import escaped


def draw_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return the rows under their header, in aligned columns; long cells are wrapped, never cut."""
    from ipclab.report.terminal import columns, wants_colour

    cells = [[escaped(cell, lines=True) for cell in row] for row in rows]
    return columns(header, cells, width=width(), colour=wants_colour(out()))
