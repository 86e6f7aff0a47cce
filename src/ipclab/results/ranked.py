"""The Mann-Whitney test of two samples, and the distribution that it is taken from. Pure."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

EXACT_UP_TO = 50
"""Values on either side. With more, the normal approximation is as good."""


def mann_whitney_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the two-sided p-value of the Mann-Whitney test.

    It is exact for up to ``EXACT_UP_TO`` values on either side. Ties make it larger, never smaller.
    """
    n, m = len(a), len(b)
    if max(n, m) > EXACT_UP_TO:
        # Imported here because it takes a second, for which most comparisons need not wait.
        from scipy.stats import mannwhitneyu

        return float(mannwhitneyu(a, b, alternative="two-sided", method="asymptotic").pvalue)
    above = sum((x > y) + (x == y) / 2 for x in a for y in b)
    tail = cumulative(min(n, m), max(n, m))
    return min(1.0, 2 * tail[math.ceil(min(above, n * m - above))])


def smallest_p(n: int, m: int) -> float:
    """Return the smallest p-value that n and m values can give."""
    return min(1.0, 2 / math.comb(n + m, n))


@functools.cache
def cumulative(n: int, m: int) -> tuple[float, ...]:
    """Return P(U <= u) under the null hypothesis for u from 0 to n·m; the counts are exact integers.

    The number of orders that give U is the coefficient of q^U in the Gaussian binomial (n + m over n), whose
    factors are multiplied and divided one by one (Mann and Whitney 1947).
    """
    size = n * m
    ways = [1] + [0] * size
    for i in range(1, n + 1):
        for u in range(size, m + i - 1, -1):
            ways[u] -= ways[u - m - i]
        for u in range(i, size + 1):
            ways[u] += ways[u - i]
    total, so_far, out = math.comb(n + m, n), 0, []
    for count in ways:
        so_far += count
        out.append(so_far / total)
    return tuple(out)
