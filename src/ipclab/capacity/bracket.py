"""The answer of a search as data: the rates between which the capacity lies, and why an end is missing."""

from __future__ import annotations

from typing import Literal

import msgspec

from ipclab.capacity.evidence import Evidence
from ipclab.capacity.grid import rate_of

Missing = Literal["", "others", "cap", "time", "floor", "failed", "machine", "no peak"]
"""Why the bracket lacks an end; empty where it has both.

``others``   trials were void, because other programs were at work.
``cap``      the rate holds that is 1.5 times the peak: no higher one is tried.
``time``     the time of the backend, or the trials at one rate, were used up; or the run was interrupted.
``floor``    the lowest rate fails, so there is no lower end.
``failed``   no trial at the lowest rate finished.
``machine``  the machine alone does not keep the limit.
``no peak``  no short stream finished.
"""


class Bracket(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``low_per_s`` is the highest rate that held below the lowest one that failed, ``high_per_s`` that one.
    Each is None where it is not known; ``missing`` says why.

    One trial that held is enough for the lower end. The upper end was confirmed: two of three trials failed.
    ``low_confirmed`` says whether two of three held. ``held_above_per_s`` are rates that held above one that
    failed: the channel is not monotone, and a part of what it can do lies outside the bracket.
    """

    low_per_s: float | None = None
    high_per_s: float | None = None
    low_confirmed: bool = False
    missing: Missing = ""
    held_above_per_s: list[float] = []

    @property
    def complete(self) -> bool:
        """Return whether both ends are known: only then may a bracket be compared with others."""
        return self.low_per_s is not None and self.high_per_s is not None and not self.held_above_per_s

    @property
    def known(self) -> bool:
        """Return whether anything is known: a lower or an upper end."""
        return self.low_per_s is not None or self.high_per_s is not None


def make_bracket(evidence: Evidence, *, unfinished_at_floor: bool = False) -> Bracket:
    """Return what these outcomes say, in whatever order they came and whether or not the search is over.

    ``unfinished_at_floor`` says that no trial at the lowest rate finished, so that its failures say nothing
    about the rate.
    """
    failing = [step for step in evidence.steps("fails") if evidence.is_confirmed(step)]
    if unfinished_at_floor:
        failing = [step for step in failing if step > 0]
    high = min(failing, default=None)
    holding = evidence.steps("holds")
    low = max((step for step in holding if high is None or step < high), default=None)
    return Bracket(
        low_per_s=None if low is None else rate_of(low),
        high_per_s=None if high is None else rate_of(high),
        low_confirmed=low is not None and evidence.is_confirmed(low),
        missing=_missing(evidence, low, high, unfinished_at_floor=unfinished_at_floor),
        held_above_per_s=[rate_of(step) for step in holding if high is not None and step > high],
    )


def _missing(evidence: Evidence, low: int | None, high: int | None, *, unfinished_at_floor: bool) -> Missing:
    if low is not None and high is not None:
        return ""
    if high == 0:
        return "floor"
    if unfinished_at_floor:
        return "failed"
    if evidence.peak_per_s is None:
        return "no peak"
    if low is not None and low == evidence.cap:
        return "cap"
    return "others" if any("void" in found for found in evidence.outcomes.values()) else "time"
