"""The formats of a decision, one module each. To add one: write its module, and enter it here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ipclab.report.registry import JSON, TABLE, Formats

if TYPE_CHECKING:
    from ipclab.report.choice.shown import Shown

CHOICE: Formats[Shown] = Formats("ipclab.report.choice", {TABLE: "terminal", JSON: "json"})
