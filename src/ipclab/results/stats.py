"""Statistics of a few repeats: their spread, and when two sets of repeats may be called different.

Pure; every figure is "higher is faster". No distribution of the repeats is assumed.
"""

from __future__ import annotations

import functools
import math
import statistics
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from ipclab.results.ranked import mann_whitney_p, smallest_p

SIGNIFICANT_P = 0.05
LEAST_EFFECT = 0.05
"""A smaller difference is not claimed, whatever the test says."""

_HALVINGS = 8
"""Precision of the search for the smallest difference, which is shown with two digits."""
_Z_95 = statistics.NormalDist().inv_cdf(0.975)
"""The normal distribution has 95 % of its mass within this many standard deviations."""

Outcome = Literal["faster", "slower", "not separated"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """``a`` against ``b``: the claim, the p-value of the test, and median(a) / median(b) - 1.

    ``p`` is None where there are too few repeats for the test to show anything (see ``separable``);
    ``effect`` is None where the median of ``b`` is 0, because there is no ratio to it.
    """

    outcome: Outcome
    p: float | None
    effect: float | None


def median(values: Sequence[float]) -> float:
    """Return the middle value, or the mean of the two middle ones. Raise ValueError where there are none."""
    if not values:
        raise ValueError("no values, no median")
    return float(statistics.median(values))


def spread(values: Sequence[float]) -> float | None:
    """Return half the range of the values, relative to their median: (max - min) / 2 / median.

    The interquartile range is not used: with five repeats its value depends on the interpolation rule, and it
    leaves out the worst repeat, which is what the reader should know about. Half the range hides no observed
    value. It grows with the number of repeats, so show that number beside it. It is a description, and no
    confidence interval: for two repeats it says how far apart they were. None for a single value, which has
    no spread, and where the median is 0.
    """
    if len(values) < 2 or (middle := median(values)) == 0:
        return None
    return (max(values) - min(values)) / 2 / abs(middle)


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95 % score interval of a share, such as of the trials that showed something (Wilson 1927,
    JASA 22).

    Unlike the usual ± it is valid where few or none of few trials showed it: 0 of 20 gives 0 % to 16 %.
    Without trials it is (0, 1): nothing is known. Raise ValueError for more successes than trials, or fewer
    than none.
    """
    if not 0 <= successes <= trials:
        raise ValueError(f"{successes} of {trials} trials is no share")
    if not trials:
        return 0.0, 1.0
    share, z2 = successes / trials, _Z_95**2
    middle = (share + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z_95 / (1 + z2 / trials) * math.sqrt(share * (1 - share) / trials + z2 / (4 * trials**2))
    low = middle - half if successes else 0.0
    high = middle + half if successes < trials else 1.0
    return low, high


def separable(n: int, m: int) -> bool:
    """Return whether the test can separate n from m repeats at all: 3 against 3 give p = 0.1 at best."""
    return n > 0 and m > 0 and smallest_p(n, m) < SIGNIFICANT_P


def compare(a: Sequence[float], b: Sequence[float]) -> Comparison:
    """Return whether ``a`` is faster or slower than ``b``, claimed only where both of two conditions hold.

    A two-sided Mann-Whitney test must give p < 0.05, and the larger median must exceed the smaller by at
    least 5 %. The test is exact for up to ``EXACT_UP_TO`` repeats on either side.
    """
    if not a or not b:
        return Comparison("not separated", None, None)
    effect = median(a) / median(b) - 1 if median(b) else None
    p = mann_whitney_p(a, b) if separable(len(a), len(b)) else None
    if p is None or p >= SIGNIFICANT_P or not _differ(median(a), median(b)):
        return Comparison("not separated", p, effect)
    return Comparison("faster" if median(a) > median(b) else "slower", p, effect)


def resolvable(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return the smallest difference between two samples like these that ``compare()`` would have claimed.

    It is a share: 0.12 where one with the spread of ``a`` must be 12 % faster than one with that of ``b``, or
    the reverse, whichever is more. None where no difference would be enough: with too few repeats, or one
    that is 0, which no factor raises.
    """
    if not separable(len(a), len(b)) or not min(median(a), median(b)) > 0:
        return None
    found = max(_least(a, b), _least(b, a))
    return found if math.isfinite(found) else None


def _least(a: Sequence[float], b: Sequence[float]) -> float:
    level = [value * median(b) / median(a) for value in a]
    low, high = LEAST_EFFECT, max(b) / min(level) if min(level) > 0 else math.inf
    high = max(high, 2 * low)
    if math.isinf(high):
        return math.inf
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if compare([value * (1 + middle) for value in level], b).outcome == "faster":
            high = middle
        else:
            low = middle
    return high


def ranks(samples: Sequence[Sequence[float]]) -> list[str]:
    """Return the rank of each sample: one more than the number of samples that ``compare`` claims to be
    faster.

    So the test supports each rank: "3" means that exactly two others were shown to be faster. Samples with
    the same rank are marked with ``=``, as in 1, 2=, 2=, 4. The ranks depend neither on the order of the
    samples nor on chance.

    Sharing a rank with the best of a tie would be simpler, but "not separated" is not transitive: it could
    rank a widely spread sample below another that was never shown to be faster.

    Samples whose ranges do not overlap are counted in O(n log n); the others are tested in pairs.
    """
    places = [1 + count for count in _shown_to_be_faster(samples)]
    shared = Counter(places)
    return [f"{place}=" if shared[place] > 1 else str(place) for place in places]


def _shown_to_be_faster(samples: Sequence[Sequence[float]]) -> list[int]:
    """Return for each sample how many others ``compare`` claims to be faster."""
    by_median = sorted((median(sample), place) for place, sample in enumerate(samples) if sample)
    medians = [middle for middle, _ in by_median]
    counts = [0] * len(samples)
    # Those that are far enough above in their median, by the number of repeats: the least repeat of each.
    above: dict[int, list[tuple[float, int]]] = {}
    entered = len(by_median)
    for middle, place in reversed(by_median):
        first = max(bisect_right(medians, middle), bisect_left(medians, (1 + LEAST_EFFECT) * middle))
        for _, other in by_median[first:entered]:
            insort(above.setdefault(len(samples[other]), []), (min(samples[other]), other))
        entered = min(first, entered)
        counts[place] = sum(_count_faster(samples, place, least) for least in above.values())
    return counts


def _count_faster(samples: Sequence[Sequence[float]], place: int, least: Sequence[tuple[float, int]]) -> int:
    """Return how many of some samples of one length are shown to be faster than this one.

    ``least`` has the least repeat of each of them, in ascending order, and its place.
    """
    mine = samples[place]
    lengths = len(mine), len(samples[least[0][1]])
    if not separable(*lengths):
        return 0
    overlapping = bisect_right(least, (max(mine), len(samples)))
    tested = overlapping if _range_decides(*lengths) else len(least)
    shown = sum(compare(mine, samples[other]).outcome == "slower" for _, other in least[:tested])
    return shown + len(least) - tested


@functools.cache
def _range_decides(n: int, m: int) -> bool:
    """Return whether the test separates any n repeats from any m that are all larger.

    Ties within either make the p-value no larger.
    """
    return mann_whitney_p(range(n), range(n, n + m)) < SIGNIFICANT_P


def _differ(one: float, other: float) -> bool:
    return max(one, other) >= (1 + LEAST_EFFECT) * min(one, other) and one != other
