"""A report about hanging processes as JSON, with all stacks."""

from __future__ import annotations

import msgspec

from ipclab.report.look import Look
from ipclab.stuck.finding import Report


def render(found: Report, _look: Look | None = None) -> str:
    """Return the whole report."""
    return msgspec.json.format(msgspec.json.encode(found)).decode() + "\n"
