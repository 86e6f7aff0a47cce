"""A decision as JSON, with the version of its schema."""

from __future__ import annotations

import msgspec

from ipclab.report.choice.shown import Shown
from ipclab.report.look import Look


def render(shown: Shown, _look: Look | None = None) -> str:
    """Return the decision, the program, the commands that would close gaps, and the exit code."""
    whole = {
        **msgspec.to_builtins(shown.decision, order="deterministic"),
        "program": shown.program,
        "commands": list(shown.commands),
        "exit_code": int(shown.exit_code),
    }
    return msgspec.json.format(msgspec.json.encode(whole)).decode() + "\n"
