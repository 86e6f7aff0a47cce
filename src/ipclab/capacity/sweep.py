"""The trials of a curve: each backend's peak, then paced trials at eight rates up to beyond it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence

import msgspec

from ipclab.capacity.course import carried
from ipclab.capacity.grid import LOWEST_PER_S, rate_of, step_of
from ipclab.capacity.search import STREAMS
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Study

RATES = 8
STEPS_APART = 2
"""Steps of the grid between two rates: a factor of √2."""
BEYOND_PEAK = 1.3
"""The highest rate is about so many times the peak."""
_SAMPLES = 1000
SHORTEST_S, LONGEST_S = 0.5, 4.0


def steps(peak_per_s: float) -> list[int]:
    """Return the steps of the grid at which a backend with this peak is measured, the lowest first."""
    top = max(step_of(BEYOND_PEAK * peak_per_s), 0)
    return [step for n in reversed(range(RATES)) if (step := top - n * STEPS_APART) >= 0]


def trial_s(per_s: float) -> float:
    """Return how long a trial at this rate lasts, in seconds: long enough for a p99."""
    return round(min(max(SHORTEST_S, _SAMPLES / per_s), LONGEST_S), 3)


class Sweeps:
    """The course of a curve run: see ``ipclab.course.Course``.

    First the short streams of all backends in turns, then repeat by repeat every rate of every backend. A
    backend whose streams have not finished has no curve.
    """

    def __init__(self, firsts: Sequence[TrialSpec], arrivals: str) -> None:
        """Set up. ``firsts`` has the short stream of each backend and repeat, in the order of the repeats."""
        self._firsts, self._arrivals = firsts, arrivals
        self._peaks: dict[str, float] = {}
        lowest = min((first.repeat for first in firsts), default=0)
        self._left = deque(
            msgspec.structs.replace(first, seed=first.seed + number)
            for number in range(STREAMS)
            for first in firsts
            if first.repeat == lowest
        )
        self._rates_are_known = False

    def next(self) -> TrialSpec | None:
        """Return the next trial; None when there is none."""
        if not self._left and not self._rates_are_known:
            self._rates_are_known = True
            self._left.extend(self._paced())
        return self._left[0] if self._left else None

    def tell(self, record: TrialRecord, took_s: float) -> None:
        """Take the record of that trial."""
        self._left.popleft()
        if not self._rates_are_known and (per_s := carried(record)):
            name = str(record.spec.backend)
            self._peaks[name] = max(per_s, self._peaks.get(name, 0.0))

    def skip(self) -> None:
        """Leave out the backend of that trial."""
        gone = self._left[0].backend
        self._left = deque(spec for spec in self._left if spec.backend != gone)
        self._peaks.pop(str(gone), None)

    def coming(self) -> list[TrialSpec]:
        """Return the trials to come; before the rates are known a guess."""
        guess = [] if self._rates_are_known else [_at(f, LOWEST_PER_S * 25, "poisson") for f in self._firsts]
        return [*self._left, *(guess * RATES)]

    def _paced(self) -> Iterator[TrialSpec]:
        for first in self._firsts:
            if (peak_per_s := self._peaks.get(str(first.backend))) is not None:
                for step in steps(peak_per_s):
                    yield _at(first, rate_of(step), self._arrivals)


def _at(first: TrialSpec, per_s: float, arrivals: str) -> TrialSpec:
    return msgspec.structs.replace(
        first,
        workload="paced",
        rate_per_s=per_s,
        arrivals=arrivals,
        duration_s=trial_s(per_s),
        study=Study(kind="curve", part="rate"),
    )
