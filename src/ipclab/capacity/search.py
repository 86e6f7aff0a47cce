"""The search for a capacity, as a procedure that asks for trials and is told how they ended.

It takes the peak from three short streams and begins at half of it. It goes up by √2 while a rate holds and
down by 2 while a rate fails, then bisects the steps between, and confirms both ends. A void trial is repeated
once and proves nothing; a rate whose trial was void twice limits the search and is no end of the bracket.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ipclab.capacity.evidence import MOST_ON_A_RATE, Evidence, Outcome
from ipclab.capacity.grid import rate_of, step_of, trial_s
from ipclab.trial.study import Slo

STREAMS = 3
"""Short streams that tell the peak."""
BUDGET_S = 17.0
"""The time for one backend: no trial begins that would end later."""
OVERHEAD_S = 0.6
"""What a trial takes besides its window, roughly: processes, warm-up, draining."""
_START = 0.5
"""The share of the peak at which the search begins."""
_UP, _DOWN = 2, 4
"""Steps of the gallop: a factor of √2 up, of 2 down."""

Ended = Literal["neighbours", "cap", "floor", "others", "time", "trials", "no peak"]
"""Why a search is over: the ends are neighbours and confirmed; the rate of the cap holds; the lowest rate
fails; trials were void because of other programs; the time is up; five trials on one rate did not decide; no
stream finished."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Asks for a short stream."""


@dataclass(frozen=True, slots=True)
class At:
    """Asks for a trial at the rate of this step."""

    step: int


class Search:
    """One search. Call ``ask()``, carry the trial out and tell its outcome, until it asks for nothing.

    ``evidence`` is what was told so far; ``ended`` is why it is over, None before.
    """

    def __init__(self, slo: Slo, *, budget_s: float = BUDGET_S) -> None:
        self.evidence = Evidence()
        self.ended: Ended | None = None
        self._slo = slo
        self._left_s = budget_s
        self._streams = 0

    @property
    def seconds_left(self) -> float:
        """Return the rest of the time for this search; 0 when it is over."""
        return 0.0 if self.ended else max(self._left_s, 0.0)

    def ask(self) -> Stream | At | None:
        """Return the next trial; None when the search is over. Asking twice changes nothing."""
        if self.ended is not None:
            return None
        if self._streams < STREAMS:
            return Stream()
        chosen = self._choose()
        if isinstance(chosen, int):
            needed_s = trial_s(rate_of(chosen), self._slo) + OVERHEAD_S
            if not self.evidence.outcomes or needed_s <= self._left_s:
                return At(chosen)
            chosen = "time"
        self.ended = chosen
        return None

    def tell_stream(self, carried_per_s: float | None, took_s: float) -> None:
        """Take what a stream carried; None where it did not finish. ``took_s`` is the time of the trial."""
        self._streams += 1
        self._left_s -= took_s
        if carried_per_s:
            self.evidence.peaks_per_s.append(carried_per_s)

    def tell(self, step: int, outcome: Outcome, took_s: float) -> None:
        """Take the outcome of a trial at this step. ``took_s`` is the time of the trial."""
        self._left_s -= took_s
        self.evidence.add(step, outcome)

    def _choose(self) -> int | Ended:
        """Return the step of the next trial, or why there is none."""
        known = self.evidence
        cap, peak_per_s = known.cap, known.peak_per_s
        if cap is None or peak_per_s is None:
            return "no peak"
        if tied := known.steps("tied"):
            return tied[0] if len(known.at(tied[0])) < MOST_ON_A_RATE else "trials"
        lower, upper = known.ends()
        start = step_of(_START * peak_per_s)
        if not known.outcomes:
            return start
        if lower is None:
            return self._downwards(upper, start, cap)
        if upper is None:
            return self._upwards(lower, cap)
        return self._between(lower, upper)

    def _downwards(self, upper: int | None, start: int, cap: int) -> int | Ended:
        """Return how to go on where no rate has held yet."""
        known = self.evidence
        lowest = min(known.outcomes)
        if lowest > 0:
            return max(lowest - _DOWN, 0)
        if upper is None:
            return "others"
        if (again := self._confirm(upper)) is not None:
            return again
        if known.standing(lowest) != "fails":
            return "others"
        # A channel that waits to fill a batch fails at low rates and holds at higher ones.
        above = min(start + _UP, cap)
        return "floor" if known.steps("holds") or known.at(above) else above

    def _upwards(self, lower: int, cap: int) -> int | Ended:
        """Return how to go on where no rate has failed yet."""
        ceiling = min((s for s in self.evidence.steps("given up") if s > lower), default=None)
        if ceiling is None and lower < cap:
            return min(lower + _UP, cap)
        if ceiling is not None and ceiling - lower > 1:
            return (lower + ceiling) // 2
        if (again := self._confirm(lower)) is not None:
            return again
        return "cap" if ceiling is None else "others"

    def _between(self, lower: int, upper: int) -> int | Ended:
        """Return the middle of the bracket; where it has none, an end that is not confirmed."""
        known = self.evidence
        middle = (lower + upper) / 2
        open_ = [step for step in range(lower + 1, upper) if known.standing(step) == "untried"]
        if open_:
            return min(open_, key=lambda step: (abs(step - middle), step))
        for end in (lower, upper):
            if (again := self._confirm(end)) is not None:
                return again
        if not (known.is_confirmed(lower) and known.is_confirmed(upper)):
            return "others"
        return "neighbours" if upper - lower == 1 else "others"

    def _confirm(self, step: int) -> int | None:
        """Return the step where it needs one more trial to be confirmed and may have one."""
        known = self.evidence
        if known.is_confirmed(step) or known.is_given_up(step) or len(known.at(step)) >= MOST_ON_A_RATE:
            return None
        return step
