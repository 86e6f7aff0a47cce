"""From values to places in a picture. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


class Scale(Protocol):
    """Maps a value to a coordinate."""

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value; a value beyond an end is at that end."""

    def ticks(self) -> list[float]:
        """Return the values that get a line of the grid, ascending."""


@dataclass(frozen=True, slots=True)
class Log:
    """A log scale from ``low`` to ``high``, both above zero. ``first`` and ``last`` are coordinates."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value; a value beyond an end is at that end."""
        if value <= self.low:
            return self.first
        share = math.log(min(value, self.high) / self.low) / math.log(self.high / self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Return the powers of ten."""
        first = math.ceil(math.log10(self.low) - 1e-9)
        last = math.floor(math.log10(self.high) + 1e-9)
        return [10.0**exponent for exponent in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear scale."""

    low: float
    high: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of a value; a value beyond an end is at that end."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Return five values, evenly apart."""
        return [self.low + (self.high - self.low) * step / 4 for step in range(5)]


@dataclass(frozen=True, slots=True)
class Nines:
    """The scale of percentiles: each step to the right has a tenth as many samples beyond it.

    Values are shares, from 0 to below 1; ``most`` is the last one.
    """

    most: float
    first: float
    last: float

    def __call__(self, value: float) -> float:
        """Return the coordinate of a share; one beyond ``most`` is at the end."""
        share = math.log(1 - min(value, self.most)) / math.log(1 - self.most)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Return the percentiles that are named, as shares."""
        return [share for share in (0.0, 0.5, 0.9, 0.99, 0.999, 0.9999) if share <= self.most + 1e-12]


def spanning(values: Iterable[float], first: float, last: float) -> Log:
    """Return a logarithmic scale of whole decades that has all of these values, those above zero, inside.

    Without any it goes from 1 to 10.
    """
    known = [value for value in values if value > 0 and math.isfinite(value)]
    if not known:
        return Log(1.0, 10.0, first, last)
    low = math.floor(math.log10(min(known)) + 1e-9)
    high = math.ceil(math.log10(max(known)) - 1e-9)
    return Log(10.0**low, 10.0 ** max(high, low + 1), first, last)
