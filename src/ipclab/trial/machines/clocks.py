"""The clocks of the machines of one trial: one of them is the trial's, the others are mapped to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ipclab.hosts import clock_bound
from ipclab.hosts.clock_bound import SAME_CLOCK, ClockMap, Echo, OffsetBound, Withheld

UNBOUNDED_NS = 2**62
"""The bound of a clock about which nothing is proven."""


class Clocks:
    """What is known of the clocks of all machines; the clock of the machine ``reference`` is the trial's.

    ``start_ns`` is the start of the trial on the clock of each machine, as its workers were told.
    """

    def __init__(self, reference: int) -> None:
        self.reference = reference
        self._before: dict[int, OffsetBound | Withheld] = {}
        self._found: dict[int, ClockMap | Withheld] = {}
        self._rough_ns: dict[int, int] = {}
        self.start_ns: dict[int, int] = {}

    def same(self, machine: int) -> None:
        """Enter a machine whose clock is the reference's."""
        self._found[machine] = SAME_CLOCK

    def before(self, machine: int, echoes: Sequence[Echo], rough_ns: int) -> None:
        """Enter the echoes before the trial, and the offset that the engine's own connection shows."""
        self._before[machine] = clock_bound.bound_of(echoes)
        self._rough_ns[machine] = rough_ns

    def after(self, machine: int, echoes: Sequence[Echo], pings: Sequence[Echo] = ()) -> None:
        """Enter the echoes after the trial, and those of its middle."""
        self._found[machine] = clock_bound.line(self._before[machine], clock_bound.bound_of(echoes), pings)

    def others(self) -> list[int]:
        """Return the machines whose clocks are not the reference's."""
        return list(self._before)

    def map_of(self, machine: int) -> ClockMap:
        """Return the best map of this machine's clock; its bound means nothing where ``reason`` says why."""
        found = self._found.get(machine)
        if isinstance(found, ClockMap):
            return found
        before = self._before[machine]
        if isinstance(before, OffsetBound):
            return ClockMap(before=before)
        rough_ns = self._rough_ns[machine]
        nothing = OffsetBound(at_ns=0, low_ns=rough_ns, high_ns=rough_ns, echoes=0, shortest_ns=0)
        return ClockMap(before=nothing)

    def reason(self, machine: int) -> Withheld | None:
        """Return why one-way figures between this machine and the reference are withheld, if so."""
        found = self._found.get(machine, self._before.get(machine))
        return found if isinstance(found, Withheld) else None

    def known(self, machine: int) -> ClockMap | Withheld:
        """Return what the record says of this machine's clock."""
        return self._found.get(machine) or self._before_only(machine)

    def _before_only(self, machine: int) -> ClockMap | Withheld:
        before = self._before.get(machine, Withheld(reason="no-echo"))
        return before if isinstance(before, Withheld) else ClockMap(before=before)

    def bound_ns(self, one: int, other: int, from_ns: int, to_ns: int) -> int:
        """Return the largest error of a difference of two readings on these machines, within a time span."""
        if one == other:
            return 0
        if self.reason(one) or self.reason(other):
            return UNBOUNDED_NS
        return clock_bound.pair_bound_ns(self.map_of(one), self.map_of(other), from_ns, to_ns)

    def due_ns(self, machine: int, after_start_ns: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return a schedule of this machine on the trial's clock: it was kept by the machine's own clock."""
        return self.map_of(machine).to_reference(after_start_ns + self.start_ns[machine])

    def drifts(self) -> Mapping[int, float]:
        """Return the drift of each machine whose clock is not the reference's, in ppm."""
        return {machine: self.map_of(machine).drift_ppm for machine in self._before}
