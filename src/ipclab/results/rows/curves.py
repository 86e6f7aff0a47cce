"""The latency of a row's messages at every percentile that its samples bear, for a picture. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ipclab.results.rows.build import trials_of, unended
from ipclab.results.rows.row import Row
from ipclab.trial import workloads
from ipclab.trial.distribution import curve
from ipclab.trial.record import TrialRecord

_STEPS_A_NINE = 8
_MOST_NINES = 4
SHARES = tuple(1 - 10 ** (-step / _STEPS_A_NINE) for step in range(_STEPS_A_NINE * _MOST_NINES + 1))
"""From 0 to 99.99 %, each the same step farther on an axis of nines."""


@dataclass(frozen=True, slots=True)
class Curve:
    """``points`` are pairs of a share of the messages and the latency in ns that these did not exceed."""

    row: Row
    points: tuple[tuple[float, int], ...]


def trace(rows: Iterable[Row], trials: Iterable[TrialRecord]) -> list[Curve]:
    """Return the curve of each row that has an end-to-end latency, or else one of round trips.

    Where none of a row's percentiles can be told, its curve has no points. Raise ValueError for an
    unreadable histogram.
    """
    timed = [row for row in rows if row.end_to_end is not None or row.round_trip is not None]
    found = []
    for row, members in zip(timed, trials_of(timed, trials), strict=True):
        paced = [trial for trial in members if workloads.of(trial.spec).open_loop]
        if row.end_to_end is not None:
            parts = [t.latency.end_to_end for t in paced if t.latency.end_to_end is not None]
            points = curve(parts, SHARES, never=sum(map(unended, paced)))
        else:
            points = curve([t.latency.round_trip for t in members if t.latency.round_trip], SHARES)
        found.append(Curve(row, tuple(points)))
    return found
