"""Decides whether a loss can be that of a message whose time to live is over."""

from __future__ import annotations

from collections.abc import Mapping

from ipclab.backends.base import Guarantees
from ipclab.host.clock import now_ns


def explains(guarantees: Guarantees, expires_after_s: float | None, first_sent_ns: int) -> bool:
    """Return whether a message sent since ``first_sent_ns`` can have expired by now, as is declared.

    ``expires_after_s`` is that of the channel. A trial that is shorter than this excuses no loss.
    """
    if expires_after_s is None or "expired" not in guarantees.may_lose:
        return False
    return now_ns() - first_sent_ns >= expires_after_s * 1e9


def first_ns(began_ns: Mapping[int, int]) -> int:
    """Return when the first message was sent, or now where there is none."""
    return min(began_ns.values(), default=now_ns())
