"""Outcomes that show only sometimes: k of n, with the interval in which their true share lies."""

from __future__ import annotations

import math

import msgspec

from ipclab.claims.base import Text

_Z_95 = 1.959963984540054


def wilson(k: int, n: int) -> tuple[float, float]:
    """The 95 % Wilson score interval of a share that was seen k times in n trials; (0, 1) for no trials.

    It stays inside 0 to 1 and has a width even where k is 0 or n, so "never seen" is not "impossible".
    Raises ValueError unless 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n} is no share")
    if n == 0:
        return 0.0, 1.0
    share, z2 = k / n, _Z_95**2
    middle = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z_95 * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n)) / (1 + z2 / n)
    # Rounding errors would otherwise make the interval miss a share of exactly 0 or 1.
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


class Share(msgspec.Struct, frozen=True):
    """k of n."""

    k: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson interval."""
        return wilson(self.k, self.n)

    def text(self) -> Text:
        """For example ``12 of 50 (24 %, 95 % interval 14–37 %)``."""
        low, high = (_percent(bound) for bound in self.interval)
        share = _percent(self.k / self.n if self.n else 0.0)
        return Text(
            f"{self.k} of {self.n} ({share} %, 95 % interval {low}–{high} %)",
            f"{self.n} 次中 {self.k} 次（{share} %，95 % 置信区间 {low}–{high} %）",
        )


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f}" if 0 < percent < 1 or 99 < percent < 100 else f"{percent:.0f}"
