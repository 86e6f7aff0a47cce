"""The schedule of an open loop: the intended send time of each message, whatever happened to earlier ones."""

from __future__ import annotations

import random
import time

from ipclab.host.clock import now_ns

SPIN_NS = 120_000
"""The last nanoseconds before a send are spent reading the clock: a sleep may end 0.1 ms late."""


def schedule(
    rate_per_s: float, duration_ns: int, *, poisson: bool, producer: int, producers: int, seed: int
) -> list[int]:
    """Return the send times of one producer, in ns from the start, ascending, all below ``duration_ns``.

    Constant: the producers take equal turns, so that all messages together are evenly spaced, never in
    bursts. Poisson: each producer draws exponential gaps of its own, which add up to a Poisson stream of
    ``rate_per_s``.
    """
    gap_ns = producers / rate_per_s * 1e9
    if not poisson:
        first_ns = gap_ns * producer / producers
        count = max(0, int((duration_ns - first_ns) / gap_ns) + 1)
        times = (int(first_ns + gap_ns * i) for i in range(count))
        return [t for t in times if t < duration_ns]
    draw = random.Random(f"{seed}/pace/{producer}").expovariate
    times_ns: list[int] = []
    at_ns = draw(1) * gap_ns
    while at_ns < duration_ns:
        times_ns.append(int(at_ns))
        at_ns += draw(1) * gap_ns
    return times_ns


def wait_until(due_ns: int) -> None:
    """Wait until ``due_ns`` on the trial's clock; return at once where it has passed."""
    while (left_ns := due_ns - now_ns()) > 0:
        if left_ns > SPIN_NS:
            time.sleep((left_ns - SPIN_NS) / 1e9)
