"""The rates at which a search tries: steps of a fourth of an octave, the same in every run."""

from __future__ import annotations

import math

from ipclab.trial.study import Slo

STEPS_AN_OCTAVE = 4
LOWEST_PER_S = 40.0
"""The rate of step 0. In 4 s it has 160 messages, of which 1 % is one: the fewest that can show a p99."""
_ROUNDING = 1e-9
SHORTEST_S, LONGEST_S = 0.5, 4.0
_BEYOND = 10
"""Messages that a trial has beyond the percentile, unless that takes longer than ``LONGEST_S``."""
_LIMITS_A_TRIAL = 10
"""A trial lasts this many times the limit, so that a queue has the time to grow beyond it."""


def rate_of(step: int) -> float:
    """Return the rate of a step, in messages per second."""
    return LOWEST_PER_S * 2 ** (step / STEPS_AN_OCTAVE)


def step_of(per_s: float) -> int:
    """Return the highest step whose rate is at most this one, and 0 for a lower rate. Raise ValueError for a
    rate that is not above 0."""
    if per_s <= 0:
        raise ValueError(f"a rate must be above 0, not {per_s}")
    return max(0, math.floor(math.log2(per_s / LOWEST_PER_S) * STEPS_AN_OCTAVE + _ROUNDING))


def trial_s(per_s: float, slo: Slo) -> float:
    """Return how long a trial at this rate lasts, in seconds."""
    enough_s = _BEYOND / (1 - slo.share) / per_s
    return round(min(max(SHORTEST_S, enough_s, _LIMITS_A_TRIAL * slo.limit_ns / 1e9), LONGEST_S), 3)
