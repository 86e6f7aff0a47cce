"""A conformance report as JSON, with the version of its schema."""

from __future__ import annotations

import msgspec

from ipclab.report.conformance.shown import Shown
from ipclab.report.look import Look


def render(shown: Shown, _look: Look | None = None) -> str:
    """Return every outcome, the result of the crash matrix, and the exit code that goes with them."""
    whole = {
        **msgspec.to_builtins(shown.conformance),
        "crash": msgspec.to_builtins(shown.crash),
        "exit_code": int(shown.exit_code),
    }
    return msgspec.json.format(msgspec.json.encode(whole)).decode() + "\n"
