"""The schedule of an open loop: the intended send time of each message, whatever happened to earlier ones."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence

from ipclab.host.clock import now_ns
from ipclab.trial.spec import TrialSpec

SPIN_NS = 120_000
"""The last nanoseconds before a send are spent reading the clock: a sleep may end 0.1 ms late."""
Waiter = Callable[[int], None]
"""Waits until a moment of the trial's clock."""


def planned(spec: TrialSpec, producer: int) -> list[int]:
    """Return the send times of this producer of a paced trial: warm-up and window, in ns from the start."""
    legs = [(leg.rate_per_s, leg.seconds) for leg in spec.legs] or [(spec.rate_per_s or 0.0, spec.duration_s)]
    legs[0] = (legs[0][0], legs[0][1] + spec.warmup_s)
    times_ns: list[int] = []
    began_s = 0.0
    for number, (rate_per_s, seconds) in enumerate(legs):
        from_ns, to_ns = int(began_s * 1e9), int((began_s + seconds) * 1e9)
        part = schedule(
            rate_per_s,
            to_ns - from_ns,
            poisson=spec.arrivals == "poisson",
            producer=producer,
            producers=spec.producers,
            seed=spec.seed + spec.repeat + 1_000_003 * number,
            burst=burst_of(spec.arrivals),
        )
        times_ns += [from_ns + t for t in part] if from_ns else part
        began_s += seconds
    return times_ns


def burst_of(arrivals: str) -> int:
    """Return how many messages are due at once: N of ``burst:N``, else 1."""
    return int(arrivals.partition(":")[2] or 1)


def schedule(
    rate_per_s: float,
    duration_ns: int,
    *,
    poisson: bool,
    producer: int,
    producers: int,
    seed: int,
    burst: int = 1,
) -> list[int]:
    """Return the send times of one producer, in ns from the start, ascending, all below ``duration_ns``.

    Constant: the producers take equal turns, so that all messages together are evenly spaced, never in
    bursts. Poisson: each producer draws exponential gaps of its own, which add up to a Poisson stream of
    ``rate_per_s``. With a ``burst`` above 1, so many messages of a producer are due at once, and the bursts
    are spaced like constant arrivals.
    """
    if burst > 1:
        firsts = schedule(
            rate_per_s / burst, duration_ns, poisson=False, producer=producer, producers=producers, seed=seed
        )
        return [at_ns for at_ns in firsts for _ in range(burst)]
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


def waiter(due_ns: Sequence[int]) -> Waiter:
    """Return how a producer waits for the moments of its schedule, by the mean gap between them.

    Where the gap is shorter than the spin before a send, a producer that spins would never sleep: it would
    fill a core, and compete with what it measures. It sleeps instead, and sends what is due when it wakes:
    some messages then begin about 0.1 ms late, which their latency includes.
    """
    moments = len(set(due_ns))
    if moments < 2 or (due_ns[-1] - due_ns[0]) / (moments - 1) > SPIN_NS:
        return wait_until
    return doze_until


def doze_until(due_ns: int) -> None:
    """Sleep until ``due_ns`` on the trial's clock, or a little longer; return at once where it has passed."""
    if (left_ns := due_ns - now_ns()) > 0:
        time.sleep(left_ns / 1e9)


def wait_until(due_ns: int) -> None:
    """Wait until ``due_ns`` on the trial's clock; return at once where it has passed."""
    while (left_ns := due_ns - now_ns()) > 0:
        if left_ns > SPIN_NS:
            time.sleep((left_ns - SPIN_NS) / 1e9)
