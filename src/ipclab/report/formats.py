"""The formats of a result, one module each. To add one: write its module, and enter it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipclab.report.look import Look
from ipclab.report.registry import CSV, JSON, MARKDOWN, TABLE, Format, Formats

if TYPE_CHECKING:
    from ipclab.results.result import Result

RESULT: Formats[Result] = Formats(
    "ipclab.report",
    {
        TABLE: "terminal",
        JSON: "json",
        CSV: "csv",
        MARKDOWN: "markdown",
        Format("html", utf_8=True): "html",
    },
)
FORMATS = RESULT.names


def formatted(result: Result, format_: str, look: Look | None = None) -> str:
    """Return the result as text that ends with a line break.

    The module of a format is imported when it is used. Raise UnknownNameError for an unknown format and
    ResultsError for an unreadable histogram.
    """
    return RESULT.formatted(result, format_, look)
