"""The outcomes of the trials of one search, and what they say about each rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from ipclab.capacity.grid import step_of

Outcome = Literal["hold", "fail", "void"]
"""``hold``: the rate was carried within the limit. ``fail``: it was not. ``void``: it was not, while other
programs were at work, which proves nothing."""
Standing = Literal["holds", "fails", "tied", "given up", "untried"]
"""What the trials at one rate say together. ``given up``: the trial and its repeat were void."""

CONFIRMING = 2
"""So many equal outcomes, of three, confirm an end of the bracket."""
MOST_ON_A_RATE = 5
_VOID_IN_A_ROW = 2
ABOVE_PEAK = 1.5
"""No trial has a higher rate than this many times the peak: a buffer without a bound takes any rate for a
while."""


@dataclass(slots=True)
class Evidence:
    """``peaks_per_s`` has what each finished short stream carried; ``outcomes`` those of each step, in the
    order of the trials."""

    peaks_per_s: list[float] = field(default_factory=list)
    outcomes: dict[int, list[Outcome]] = field(default_factory=dict)

    @property
    def peak_per_s(self) -> float | None:
        """Return the highest rate of a stream: a busy machine only lowers it. None where none finished."""
        return max(self.peaks_per_s, default=None)

    @property
    def cap(self) -> int | None:
        """Return the highest step that is tried; None where the peak is not known."""
        peak_per_s = self.peak_per_s
        return step_of(ABOVE_PEAK * peak_per_s) if peak_per_s else None

    def add(self, step: int, outcome: Outcome) -> None:
        """Enter the outcome of one more trial."""
        self.outcomes.setdefault(step, []).append(outcome)

    def at(self, step: int) -> Sequence[Outcome]:
        """Return the outcomes of this step, the oldest first."""
        return self.outcomes.get(step, ())

    def standing(self, step: int) -> Standing:
        """Return what the trials at a step say: the majority of those that prove something decides."""
        found = self.at(step)
        if not found:
            return "untried"
        holds, fails = found.count("hold"), found.count("fail")
        if holds != fails:
            return "holds" if holds > fails else "fails"
        return "given up" if self.is_given_up(step) else "tied"

    def is_given_up(self, step: int) -> bool:
        """Return whether the last trial at a step and its repeat were void."""
        last = self.at(step)[-_VOID_IN_A_ROW:]
        return len(last) == _VOID_IN_A_ROW and set(last) == {"void"}

    def is_confirmed(self, step: int) -> bool:
        """Return whether the majority at a step has two equal outcomes or more."""
        found = self.at(step)
        many = max(found.count("hold"), found.count("fail"))
        return many >= CONFIRMING and self.standing(step) in ("holds", "fails")

    def steps(self, *standings: Standing) -> list[int]:
        """Return the steps that stand so, the lowest first."""
        return sorted(step for step in self.outcomes if self.standing(step) in standings)

    def ends(self) -> tuple[int | None, int | None]:
        """Return the highest step that holds below the lowest that fails, and that one; each may be None."""
        upper = min(self.steps("fails"), default=None)
        lower = max((s for s in self.steps("holds") if upper is None or s < upper), default=None)
        return lower, upper
