"""The formats of a conformance report, one module each. To add one: write its module, and enter it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipclab.report.registry import JSON, TABLE, Formats

if TYPE_CHECKING:
    from ipclab.report.conformance.shown import Shown

CONFORMANCE: Formats[Shown] = Formats("ipclab.report.conformance", {TABLE: "terminal", JSON: "json"})
