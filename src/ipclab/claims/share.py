"""Outcomes that occur only sometimes: k of n, with the interval in which their true share lies."""

from __future__ import annotations

import msgspec

from ipclab.claims.text import Text
from ipclab.results.stats import wilson


class Share(msgspec.Struct, frozen=True):
    """k of n."""

    k: int
    n: int

    @property
    def interval(self) -> tuple[float, float]:
        """Return the 95 % Wilson interval."""
        return wilson(self.k, self.n)

    def text(self) -> Text:
        """Return the share, for example ``12 of 50 (24 %, 95 % interval 14–37 %)``."""
        low, high = (_percent(bound) for bound in self.interval)
        share = _percent(self.k / self.n if self.n else 0.0)
        return Text(
            f"{self.k} of {self.n} ({share} %, 95 % interval {low}–{high} %)",
            f"{self.n} 次中 {self.k} 次（{share} %，95 % 置信区间 {low}–{high} %）",
        )


def _percent(share: float) -> str:
    percent = 100 * share
    return f"{percent:.1f}" if 0 < percent < 1 or 99 < percent < 100 else f"{percent:.0f}"
