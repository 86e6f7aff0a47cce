"""Pure checks: from what the workers logged to a verdict. No I/O, no backend.

``check(history, model)`` judges a history of ``ipclab.history``; ``delivery`` and ``counter`` are the checks
that every trial runs on its own logs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ipclab.checks.verdict import Counterexample, Verdict
    from ipclab.checks.verify import check

__all__ = ["Counterexample", "Verdict", "check"]


def __getattr__(name: str) -> Any:
    """Import the name on first use: a trial needs none of it."""
    if name == "check":
        from ipclab.checks.verify import check

        return check
    if name in __all__:
        from ipclab.checks import verdict

        return getattr(verdict, name)
    raise AttributeError(name)
