"""Why cells are empty: each reason once, under a letter."""

from __future__ import annotations

from collections.abc import Callable

from ipclab.host.texts import tr
from ipclab.results import units
from ipclab.trial.spec import TrialSpec

WhyNot = Callable[[TrialSpec], str]
"""Returns why a backend does not suffer the fault of this spec; empty where it could."""
NOT_TRIED = "was not tried in this run"


def no_reason(_spec: TrialSpec) -> str:
    """Return the empty reason: every fault applies."""
    return ""


class Reasons:
    """Gives letters to reasons, in the order in which they come up."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def mark(self, reason: str) -> str:
        """Return the mark of a reason, such as ``–(a)``."""
        return f"{units.NOT_APPLICABLE}({self._letters.setdefault(reason, _letter(len(self._letters)))})"

    def notes(self) -> list[str]:
        """Return a line for each reason, in the language of the reader."""
        return [f"{units.NOT_APPLICABLE}({letter})  {tr(reason)}" for reason, letter in self._letters.items()]


def _letter(place: int) -> str:
    """Return the letter of an index: a … z, then aa, ab …"""
    more, last = divmod(place, 26)
    return (_letter(more - 1) if more else "") + chr(ord("a") + last)
