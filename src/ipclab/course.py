"""The course of a run: its trials one after the other, fixed beforehand or chosen by those before."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from typing import Protocol

from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec


class Course(Protocol):
    """The trials of a run, one after the other. An adaptive course chooses a trial by those before it.

    Each ``next()`` is followed by ``tell()``, or by ``skip()`` where the trial cannot be run any more. In the
    lab's own process; not thread-safe.
    """

    def next(self) -> TrialSpec | None:
        """Return the next trial; None when there is none."""

    def tell(self, record: TrialRecord, took_s: float) -> None:
        """Take the record of that trial, which took ``took_s`` seconds in all."""

    def skip(self) -> None:
        """Leave that trial out, and in an adaptive course all that would follow from it."""

    def coming(self) -> Sequence[TrialSpec]:
        """Return the trials to come, that of ``next()`` included; in an adaptive course a guess."""


class InOrder(Course):
    """A course that was fixed beforehand."""

    def __init__(self, trials: Iterable[TrialSpec]) -> None:
        self._left = deque(trials)

    def next(self) -> TrialSpec | None:
        return self._left[0] if self._left else None

    def tell(self, record: TrialRecord, took_s: float) -> None:
        self._left.popleft()

    def skip(self) -> None:
        self._left.popleft()

    def coming(self) -> Sequence[TrialSpec]:
        return self._left
