"""The formats of a report about hanging processes, one module each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipclab.report.registry import JSON, TABLE, Formats

if TYPE_CHECKING:
    from ipclab.stuck.finding import Report

STUCK: Formats[Report] = Formats("ipclab.report.stuck", {TABLE: "terminal", JSON: "json"})
