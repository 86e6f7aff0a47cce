"""The trials of a capacity run: one on the machine alone, then the searches of all backends in turns."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from itertools import groupby

import msgspec

from ipclab.backends.registry import Variant
from ipclab.capacity.grid import rate_of, step_of, trial_s
from ipclab.capacity.judge import Judged, judge_trial
from ipclab.capacity.search import OVERHEAD_S, At, Search, Stream
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Slo, Study

MACHINE_PER_S = 250.0
"""The rate of the trial on the machine alone: in 4 s it has the thousand messages that a p99 needs."""
MACHINE_BACKEND = "pipe"
"""The channel that does least: what is slow on it is the machine."""
MACHINE_TRIES = 2
WARMUP_S = 0.1
STREAM_S = 0.3
_TRIAL_S = 1.2
"""The time of a trial, roughly, to guess how many are to come."""


class _One:
    """The search of one backend in one repeat."""

    def __init__(self, first: TrialSpec, slo: Slo) -> None:
        self.first = first
        self.search = Search(slo)
        self.trials = 0

    def spec(self, asked: Stream | At, slo: Slo, arrivals: str) -> TrialSpec:
        """Return the trial that the search asks for. Each has another seed, and so another schedule."""
        seed = self.first.seed + self.trials
        if isinstance(asked, Stream):
            return msgspec.structs.replace(self.first, seed=seed)
        per_s = rate_of(asked.step)
        return msgspec.structs.replace(
            self.first,
            workload="paced",
            rate_per_s=per_s,
            arrivals=arrivals,
            duration_s=trial_s(per_s, slo),
            study=Study(kind="capacity", part="rate", slo=slo),
            seed=seed,
        )


class Searches:
    """The course of a capacity run: see ``ipclab.course.Course``.

    The backends take turns, so that a slow minute of the machine affects all of them. Where the machine alone
    does not keep the limit, twice, no search begins: no trial could hold for the backend's sake.
    """

    def __init__(self, firsts: Sequence[TrialSpec], slo: Slo, arrivals: str) -> None:
        """Set up. ``firsts`` has the short stream of each backend and repeat, in the order of the repeats."""
        self._slo, self._arrivals = slo, arrivals
        self._machine = machine_trial(firsts[0], slo) if firsts else None
        self._machine_failed = 0
        rounds = groupby(firsts, key=lambda first: first.repeat)
        self._rounds = deque(deque(_One(first, slo) for first in firsts_) for _, firsts_ in rounds)
        self._asked: Stream | At | None = None

    def next(self) -> TrialSpec | None:
        """Return the next trial; None when there is none."""
        if self._machine is not None:
            return self._machine
        while self._rounds:
            turns = self._rounds[0]
            while turns:
                self._asked = turns[0].search.ask()
                if self._asked is not None:
                    return turns[0].spec(self._asked, self._slo, self._arrivals)
                turns.popleft()
            self._rounds.popleft()
        return None

    def tell(self, record: TrialRecord, took_s: float) -> None:
        """Take the record of that trial. Raise ValueError for an unreadable histogram."""
        if self._machine is not None:
            self._tell_machine(judge_trial(record, self._slo))
            return
        turns = self._rounds[0]
        one = turns[0]
        one.trials += 1
        if isinstance(self._asked, At):
            one.search.tell(self._asked.step, judge_trial(record, self._slo).outcome, took_s)
        else:
            one.search.tell_stream(carried(record), took_s)
        turns.rotate(-1)

    def skip(self) -> None:
        """Leave out the backend whose turn it is."""
        if self._machine is not None:
            self._machine = None
        else:
            self._rounds[0].popleft()

    def coming(self) -> list[TrialSpec]:
        """Return a guess at the trials to come."""
        found = [self._machine] if self._machine is not None else []
        for turns in self._rounds:
            for one in turns:
                many = math.ceil(one.search.seconds_left / _TRIAL_S)
                found += [msgspec.structs.replace(one.first, duration_s=_TRIAL_S - OVERHEAD_S)] * many
        return found

    def _tell_machine(self, judged: Judged) -> None:
        if judged.outcome == "hold":
            self._machine = None
            return
        self._machine_failed += 1
        if self._machine_failed >= MACHINE_TRIES:
            self._machine = None
            self._rounds.clear()


def machine_trial(first: TrialSpec, slo: Slo) -> TrialSpec:
    """Return the trial that shows what the machine alone does, at a low rate."""
    return TrialSpec(
        workload="paced",
        backend=Variant(MACHINE_BACKEND),
        size_bytes=64,
        rate_per_s=MACHINE_PER_S,
        warmup_s=WARMUP_S,
        duration_s=trial_s(MACHINE_PER_S, slo),
        start_method=first.start_method,
        seed=first.seed,
        study=Study(kind="capacity", part="machine", slo=slo),
    )


def carried(record: TrialRecord) -> float | None:
    """Return what a short stream carried per second; None where it did not finish."""
    return record.rate_per_s if record.outcome == "finished" else None


def step(record: TrialRecord) -> int:
    """Return the step of the grid that a trial at a rate was at."""
    assert record.spec.rate_per_s is not None
    return step_of(record.spec.rate_per_s)
