"""A comparison as JSON, with the version of its schema and in full precision."""

from __future__ import annotations

import msgspec

from ipclab.compare.comparison import Comparison
from ipclab.report.look import Look


def render(comparison: Comparison, _look: Look | None = None) -> str:
    """Return everything that the comparison has, and the exit code that goes with it."""
    whole = {**msgspec.to_builtins(comparison), "exit_code": int(comparison.exit_code)}
    return msgspec.json.format(msgspec.json.encode(whole)).decode() + "\n"
