"""A result in one of the formats that ``--format`` names."""

from __future__ import annotations

from typing import Literal, get_args

from ipclab.report import export, render
from ipclab.report.table import table
from ipclab.results.result import Result

Format = Literal["table", "json", "csv", "md"]
FORMATS: tuple[Format, ...] = get_args(Format)


def formatted(result: Result, format_: Format, *, width: int = render.WIDTH, colour: bool = False) -> str:
    """The result as text that ends with a line break; ``width`` and ``colour`` are for ``table`` only.

    Raises ResultsError for an unreadable histogram.
    """
    if format_ == "json":
        return export.json(result)
    if format_ == "csv":
        return export.rows_as_csv(result)
    if format_ == "md":
        return render.markdown(table(result))
    return render.text(table(result), width=width, colour=colour)
