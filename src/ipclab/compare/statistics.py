"""Rank statistics of two samples, and the correction for many tests at once. Pure.

The exact test and the interval come from one distribution, so they agree: without ties, the 95 % interval of
the shift excludes 0 where p < 0.05.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.results.ranked import EXACT_UP_TO, cumulative, mann_whitney_p, smallest_p
from ipclab.results.stats import SIGNIFICANT_P

ALPHA = SIGNIFICANT_P
POWER = 0.8
"""The share of runs in which a difference of the size "would have seen" is claimed."""
_NORMAL = statistics.NormalDist()
CORRECTION = 1.1
"""By simulation, in ``tests/unit/compare/test_compare_simulated.py``: the rank test and the estimated spread
of 10 to 20 repeats need this much more than the normal distribution says."""


@dataclass(frozen=True, slots=True)
class Shift:
    """How far the logarithms of one sample lie above those of another.

    ``estimate``  the Hodges–Lehmann estimate: the median of all differences of pairs.
    ``low``, ``high``  its interval at 95 %, infinite where there are too few values for one.
    ``p``         of the two-sided Mann–Whitney test.
    """

    estimate: float
    low: float
    high: float
    p: float

    @property
    def half(self) -> float:
        """Return half the width of the interval."""
        return (self.high - self.low) / 2


def log_shift(old: Sequence[float], new: Sequence[float]) -> Shift:
    """Return how far ``new`` lies above ``old``, in natural logarithms.

    Raise ValueError for an empty sample, or a value that is not above 0.
    """
    if not old or not new:
        raise ValueError("an empty sample has no shift")
    if min(*old, *new, math.inf) <= 0:
        raise ValueError("only values above 0 have a logarithm")
    before, after = [math.log(x) for x in old], [math.log(x) for x in new]
    differences = sorted(y - x for y in after for x in before)
    least = _rank_of_bound(len(before), len(after))
    return Shift(
        estimate=statistics.median(differences),
        low=differences[least - 1] if least else -math.inf,
        high=differences[-least] if least else math.inf,
        p=mann_whitney_p(old, new),
    )


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values adjusted by Holm's method, in the same order.

    To reject those below 0.05 keeps the chance of any false rejection among all of them below 5 %.
    """
    in_order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    largest = 0.0
    for place, i in enumerate(in_order):
        largest = max(largest, min(1.0, (len(p_values) - place) * p_values[i]))
        adjusted[i] = largest
    return adjusted


def log_deviation(values: Sequence[float]) -> float | None:
    """Return the standard deviation of the logarithms: 0.1 is a spread of about 10 %.

    None for fewer than two values, or one that is not above 0.
    """
    if len(values) < 2 or min(values) <= 0:
        return None
    return statistics.stdev(math.log(value) for value in values)


def floor_of(medians: Sequence[float]) -> float | None:
    """Return the 95th percentile of the pairwise absolute log ratios of some runs' medians.

    It is how far two runs of the same code lie apart. None for fewer than two runs, or one that is not
    above 0.
    """
    if len(medians) < 2 or min(medians) <= 0:
        return None
    logs = [math.log(value) for value in medians]
    apart = sorted(abs(x - y) for i, x in enumerate(logs) for y in logs[:i])
    place = 0.95 * (len(apart) - 1)
    below = math.floor(place)
    above = min(below + 1, len(apart) - 1)
    return apart[below] + (place - below) * (apart[above] - apart[below])


def visible(half: float, threshold: float, tests: int, repeats: tuple[int, int]) -> float | None:
    """Return the smallest true difference that would have been claimed in ``POWER`` of such comparisons.

    As a natural logarithm. ``half`` is half the interval of the shift, ``threshold`` what a claim wants at
    least, ``tests`` how many Holm's method corrects for, ``repeats`` the sizes of the samples. None where no
    difference would have been claimed, with so few repeats.
    """
    if math.isinf(half) or smallest_p(*repeats) * max(tests, 1) >= ALPHA:
        return None
    return max(threshold + _beyond(half), factor(tests) * half)


def factor(tests: int) -> float:
    """Return the multiple of half the interval that a difference must be to be claimed in ``POWER`` of
    the comparisons, where Holm's method corrects for ``tests`` tests."""
    critical = _NORMAL.inv_cdf(1 - ALPHA / (2 * max(tests, 1)))
    return CORRECTION * (critical + _NORMAL.inv_cdf(POWER)) / _NORMAL.inv_cdf(1 - ALPHA / 2)


def median_interval(values: Sequence[float]) -> tuple[float, float] | None:
    """Return the 95 % interval of the median from the order of the values alone.

    It assumes nothing about their distribution. None for fewer than 6 values, which have none.
    """
    n, in_order = len(values), sorted(values)
    inside = None
    below = 0.0
    for least in range(1, n // 2 + 1):
        below += math.comb(n, least - 1) / 2**n
        if below > ALPHA / 2:
            break
        inside = least
    return (in_order[inside - 1], in_order[-inside]) if inside else None


def _beyond(half: float) -> float:
    """Return how far above a threshold a difference must lie to be estimated above it in ``POWER``."""
    return CORRECTION * _NORMAL.inv_cdf(POWER) * half / _NORMAL.inv_cdf(1 - ALPHA / 2)


def _rank_of_bound(n: int, m: int) -> int:
    """Return which of the sorted differences of pairs, counted from 1, bounds the interval; 0 for none."""
    if max(n, m) > EXACT_UP_TO:
        half = _NORMAL.inv_cdf(1 - ALPHA / 2) * math.sqrt(n * m * (n + m + 1) / 12)
        return max(0, math.floor(n * m / 2 - half))
    return sum(chance <= ALPHA / 2 for chance in cumulative(min(n, m), max(n, m)))
