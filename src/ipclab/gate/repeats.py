"""How many repeats a gate runs: 10, and 20 where the repeats of a row vary by more than 10 %."""

from __future__ import annotations

from collections.abc import Iterable

from ipclab.compare.digest import digest
from ipclab.compare.rules import ALWAYS_GATED, STEADY
from ipclab.compare.statistics import log_deviation
from ipclab.results.result import Result

FIRST = 10
MORE = 10


def wants_more(results: Iterable[Result]) -> bool:
    """Return whether the CPU time of a row varies so much that more repeats are needed.

    Only the spread decides, never the difference between two sides: a gate that repeated until it found a
    difference would always find one. Raise ResultsError for an unreadable histogram.
    """
    rows = [row for result in results for row in digest(result).rows]
    spreads = [
        log_deviation(row.values[metric]) for row in rows for metric in ALWAYS_GATED & row.values.keys()
    ]
    return any(spread is not None and spread > STEADY for spread in spreads)
