"""What is proven about the clock of another machine: pure functions from echoes to a bound.

One machine, the *reference*, sends a datagram to another, the *remote*, which answers with a reading of its
clock. The reading was made between the sending and the receipt of the answer. This bounds the offset of the
two clocks from both sides, however the round trip is divided between the two directions. No function here
assumes that the directions take equal time.

Offsets are remote minus reference. All times are nanoseconds of ``time.perf_counter_ns`` on the machine that
is named. The module does no I/O and keeps no state.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

MAX_DRIFT_PPM = 1000.0
"""The largest drift between two clocks that is believed. A kernel slews a clock by up to 500 ppm."""
LARGEST_SHARE_OF_MEDIAN = 0.1
"""One-way figures are shown where the bound is at most this share of their median."""

Reason = Literal["no-echo", "stepped", "drift", "contradicted", "wide"]
"""Why one-way figures are withheld.

``no-echo``: no datagram was answered. ``stepped``: the echoes of one burst contradict each other. ``drift``:
the offsets before and after differ by more than clocks drift. ``contradicted``: an echo during the trial lies
off the line between the offsets before and after. ``wide``: the bound is too large beside the median.
"""


class Echo(msgspec.Struct, frozen=True, array_like=True):
    """One answered datagram: sent and received on the reference's clock, the reading on the remote's."""

    sent_ns: int
    remote_ns: int
    received_ns: int


class OffsetBound(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="offset"):
    """The offset at the moment ``at_ns`` of the reference is from ``low_ns`` to ``high_ns``, both included.

    ``echoes`` were used; the shortest took ``shortest_ns``.
    """

    at_ns: int
    low_ns: int
    high_ns: int
    echoes: int
    shortest_ns: int

    @property
    def offset_ns(self) -> float:
        """Return the middle of the bound: the offset to calculate with."""
        return (self.low_ns + self.high_ns) / 2

    @property
    def bound_ns(self) -> float:
        """Return the largest possible error of ``offset_ns``."""
        return (self.high_ns - self.low_ns) / 2


class Withheld(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="withheld"):
    """One-way figures are not shown, for ``reason``.

    ``found`` exceeds ``allowed``: nanoseconds, for ``drift`` ppm, for ``no-echo`` both are 0.
    """

    reason: Reason
    found: float = 0.0
    allowed: float = 0.0


def bound_of(echoes: Sequence[Echo]) -> OffsetBound | Withheld:
    """Return what a burst of echoes proves about the offset at the time of its shortest round trip.

    Each echo allows the offsets from ``remote - received`` to ``remote - sent``. The result is what all of
    them allow, where each is first widened by the largest drift since its time. Return Withheld where there
    is no echo, or where no offset agrees with all of them.
    """
    if not echoes:
        return Withheld(reason="no-echo")
    shortest = min(echoes, key=_round_trip_ns)
    at_ns = (shortest.sent_ns + shortest.received_ns) // 2
    low_ns, high_ns = -math.inf, math.inf
    for echo in echoes:
        furthest_ns = max(abs(echo.sent_ns - at_ns), abs(echo.received_ns - at_ns))
        slack_ns = math.ceil(furthest_ns * MAX_DRIFT_PPM / 1e6)
        low_ns = max(low_ns, echo.remote_ns - echo.received_ns - slack_ns)
        high_ns = min(high_ns, echo.remote_ns - echo.sent_ns + slack_ns)
    if low_ns > high_ns:
        return Withheld(reason="stepped", found=float(low_ns - high_ns))
    return OffsetBound(
        at_ns=at_ns,
        low_ns=int(low_ns),
        high_ns=int(high_ns),
        echoes=len(echoes),
        shortest_ns=_round_trip_ns(shortest),
    )


def is_one_clock(echoes: Sequence[Echo]) -> bool:
    """Return whether these echoes allow that both readings are of one clock; False where there is no echo."""
    found = bound_of(echoes)
    return isinstance(found, OffsetBound) and found.low_ns <= 0 <= found.high_ns


class ClockMap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="line"):
    """Maps readings of a remote clock into the reference's clock, with the largest possible error.

    Between ``before`` and ``after`` the offset is taken to change linearly; ``pings`` echoes between them
    agree with that. Without ``after``, and outside the two, the bound grows by ``MAX_DRIFT_PPM``. Without
    ``before`` the two clocks are one: the map changes nothing, and its bound is 0.
    """

    before: OffsetBound | None = None
    after: OffsetBound | None = None
    pings: int = 0

    @property
    def drift_ppm(self) -> float:
        """Return how much faster the remote clock runs, in parts per million of the reference's time."""
        return self._slope * 1e6

    @property
    def drift_bound_ppm(self) -> float:
        """Return the largest possible error of ``drift_ppm``."""
        if self.before is None:
            return 0.0
        if self.after is None:
            return MAX_DRIFT_PPM
        return (self.before.bound_ns + self.after.bound_ns) / _apart_ns(self.before, self.after) * 1e6

    def to_reference_ns(self, remote_ns: int) -> int:
        """Return the moment of the reference's clock at which the remote clock showed ``remote_ns``."""
        if self.before is None:
            return remote_ns
        since_ns = remote_ns - self._remote_at_before_ns
        return self.before.at_ns + since_ns - round(since_ns * self._remote_share)

    def to_reference(self, remote_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return ``to_reference_ns`` of each reading; an ascending array stays ascending."""
        if self.before is None:
            return remote_ns
        import numpy as np

        since_ns: npt.NDArray[np.int64] = remote_ns - self._remote_at_before_ns
        drifted_ns: npt.NDArray[np.int64] = np.rint(since_ns * self._remote_share).astype(np.int64)
        return self.before.at_ns + since_ns - drifted_ns

    def to_remote_ns(self, reference_ns: int) -> int:
        """Return what the remote clock shows at a moment of the reference's clock."""
        if self.before is None:
            return reference_ns
        since_ns = reference_ns - self.before.at_ns
        return self._remote_at_before_ns + since_ns + round(since_ns * self._slope)

    def bound_ns(self, reference_ns: int) -> int:
        """Return the largest possible error of a reading that is mapped to about ``reference_ns``."""
        if self.before is None:
            return 0
        low_ns, high_ns = self._offsets_ns(reference_ns)
        # An error of the offset moves the moment at which it is applied; the roundings add 2 ns.
        return math.ceil((high_ns - low_ns) / 2 / (1 - abs(self._slope))) + 2

    def largest_bound_ns(self, from_ns: int, to_ns: int) -> int:
        """Return the largest bound between two moments of the reference's clock."""
        # The bound is piecewise linear and bends only at the two bursts.
        bends = [burst.at_ns for burst in (self.before, self.after) if burst is not None]
        inside = [at_ns for at_ns in bends if from_ns < at_ns < to_ns]
        return max(self.bound_ns(at_ns) for at_ns in (from_ns, to_ns, *inside))

    def contradiction(self, ping: Echo) -> float:
        """Return by how many nanoseconds an echo lies outside what this map allows; 0 if inside."""
        if self.before is None:
            return 0.0
        at_sent, at_received = self._offsets_ns(ping.sent_ns), self._offsets_ns(ping.received_ns)
        low_ns, high_ns = min(at_sent[0], at_received[0]), max(at_sent[1], at_received[1])
        above_ns = ping.remote_ns - ping.received_ns - high_ns
        below_ns = low_ns - (ping.remote_ns - ping.sent_ns)
        # The remote's reading and the line are rounded to nanoseconds.
        return max(above_ns, below_ns, 1.0) - 1.0

    @property
    def _slope(self) -> float:
        if self.before is None or self.after is None:
            return 0.0
        return (self.after.offset_ns - self.before.offset_ns) / _apart_ns(self.before, self.after)

    @property
    def _remote_share(self) -> float:
        """Return the drift as a share of the remote's time."""
        return self._slope / (1 + self._slope)

    @property
    def _remote_at_before_ns(self) -> int:
        assert self.before is not None
        return self.before.at_ns + math.floor(self.before.offset_ns)

    def _offsets_ns(self, reference_ns: int) -> tuple[float, float]:
        """Return the smallest and the largest offset at a moment of the reference's clock."""
        assert self.before is not None
        if self.after is None:
            grown_ns = abs(reference_ns - self.before.at_ns) * MAX_DRIFT_PPM / 1e6
            return self.before.low_ns - grown_ns, self.before.high_ns + grown_ns
        apart_ns = _apart_ns(self.before, self.after)
        share = (reference_ns - self.before.at_ns) / apart_ns
        within = min(max(share, 0.0), 1.0)
        middle_ns = self.before.offset_ns + self._slope * (reference_ns - self.before.at_ns)
        half_ns = self.before.bound_ns * (1 - within) + self.after.bound_ns * within
        # The line goes on outside, and the true drift differs from it by no more than both together.
        outside_ns = abs(share - within) * apart_ns
        half_ns += outside_ns * (MAX_DRIFT_PPM / 1e6 + abs(self._slope))
        return middle_ns - half_ns, middle_ns + half_ns


SAME_CLOCK = ClockMap()
"""The map of the reference itself."""


def line(
    before: OffsetBound | Withheld, after: OffsetBound | Withheld, pings: Sequence[Echo] = ()
) -> ClockMap | Withheld:
    """Return the map between two bursts, or why there is none.

    ``pings`` are echoes of the time between. One that the line does not allow shows that the clocks did not
    drift linearly: the result is Withheld. Raise ValueError where ``after`` is not later than ``before``.
    """
    if isinstance(before, Withheld):
        return before
    if isinstance(after, Withheld):
        return after
    if after.at_ns <= before.at_ns:
        raise ValueError(f"the burst after the trial, at {after.at_ns}, is not later than {before.at_ns}")
    found = ClockMap(before=before, after=after, pings=len(pings))
    least_ppm = abs(found.drift_ppm) - found.drift_bound_ppm
    # Two wide bounds a short time apart say little of the drift. From half on, the map has no meaning.
    if least_ppm > MAX_DRIFT_PPM or abs(found.drift_ppm) > 500_000:
        return Withheld(reason="drift", found=abs(found.drift_ppm), allowed=MAX_DRIFT_PPM)
    off_ns = max((found.contradiction(ping) for ping in pings), default=0.0)
    if off_ns > 0:
        return Withheld(reason="contradicted", found=off_ns)
    return found


def pair_bound_ns(one: ClockMap, other: ClockMap, from_ns: int, to_ns: int) -> int:
    """Return the largest error of a difference of two readings, one mapped by each, within a time span.

    This is for two machines. A difference of two readings of one clock needs no offset, so its bound is 0.
    """
    return one.largest_bound_ns(from_ns, to_ns) + other.largest_bound_ns(from_ns, to_ns)


def too_wide(bound_ns: float, median_ns: float) -> Withheld | None:
    """Return why a one-way figure with this bound is withheld, or None where it may be shown."""
    allowed_ns = max(median_ns, 0.0) * LARGEST_SHARE_OF_MEDIAN
    return Withheld(reason="wide", found=bound_ns, allowed=allowed_ns) if bound_ns > allowed_ns else None


def _round_trip_ns(echo: Echo) -> int:
    return echo.received_ns - echo.sent_ns


def _apart_ns(before: OffsetBound, after: OffsetBound) -> int:
    return after.at_ns - before.at_ns
