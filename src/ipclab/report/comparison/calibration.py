"""A calibration as text or JSON: the smallest difference that a gate can detect, by row and metric."""

from __future__ import annotations

import io

import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ipclab.compare.calibration import Calibration
from ipclab.report.comparison.words import NAMES
from ipclab.report.look import Look
from ipclab.results import units

_HEADS = ("row", "metric", "repeats", "spread", "A/A floor", "would see", "counts", "false claims")


def as_json(calibration: Calibration) -> str:
    """Return everything that the calibration has."""
    return msgspec.json.format(msgspec.json.encode(calibration)).decode() + "\n"


def as_text(calibration: Calibration, look: Look) -> str:
    """Return a line for each row and metric."""
    grid = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    for place, head in enumerate(_HEADS):
        grid.add_column(head, justify="left" if place < 2 else "right", overflow="fold")
    for one in calibration.metrics:
        cells = (
            one.row,
            NAMES.get(one.metric, one.metric),
            str(one.repeats),
            units.NOT_TOLD if one.deviation is None else units.percent(one.deviation),
            units.percent(one.floor),
            "nothing" if one.visible is None else units.percent(one.visible),
            "yes" if one.gated else "shown only",
            f"{one.claims} of {calibration.comparisons}",
        )
        grid.add_row(*map(Text, cells))
    out = io.StringIO()
    console = Console(file=out, width=max(look.width, 60), no_color=True, highlight=False, markup=False)
    runs = units.of(calibration.runs, "run")
    console.print(Text(f"{calibration.experiment}: {runs} of the same version, each compared with the next"))
    if calibration.busy:
        console.print(Text("WARNING: other programs used the machine; figures vary more than they need to"))
    console.print()
    console.print(grid)
    console.print()
    console.print(
        Text(
            "would see: the change for the worse that a comparison of two such runs would claim in 80 % of "
            "the cases; A/A floor: how far two of these runs lie apart (95th percentile of the pairs)"
        )
    )
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"
