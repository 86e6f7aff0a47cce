"""The formats of a trend, one module each. To add one: write its module, and enter it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipclab.report.registry import CSV, TABLE, Formats

if TYPE_CHECKING:
    from ipclab.compare.trend import Trend

TREND: Formats[Trend] = Formats("ipclab.report.trend", {TABLE: "terminal", CSV: "csv"})
