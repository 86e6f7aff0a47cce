"""The formats of a comparison, one module each. To add one: write its module, and enter it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipclab.report.registry import CSV, JSON, MARKDOWN, TABLE, Format, Formats

if TYPE_CHECKING:
    from ipclab.compare.comparison import Comparison

COMPARISON: Formats[Comparison] = Formats(
    "ipclab.report.comparison",
    {
        TABLE: "terminal",
        MARKDOWN: "markdown",
        JSON: "json",
        CSV: "csv",
        Format("junit", utf_8=True): "junit",
    },
)
