"""The definition of a workload: one object with everything that the lab must know about it.

The objects are in ``trial/workloads/``, one file each, and in the list ``ipclab.trial.workloads.ALL``.
Code that depends on the workload of a trial asks its object; nothing compares names.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ipclab.backends.base import Face, Site
from ipclab.trial.measurement import Measurement
from ipclab.trial.safety import Scene
from ipclab.trial.spec import TrialSpec

Option = Literal[
    "producers",
    "consumers",
    "window",
    "size_bytes",
    "payload",
    "codec",
    "duration_s",
    "warmup_s",
    "rate_per_s",
    "arrivals",
    "legs",
    "slo",
    "faults",
    "targets",
    "work",
    "work_fail_share",
]
"""Options of a run that not every workload uses, by their names in a request."""
PRODUCERS: frozenset[Option] = frozenset(("producers",))
SHAPE: frozenset[Option] = frozenset(("producers", "consumers"))
TIMES: frozenset[Option] = frozenset(("duration_s", "warmup_s"))
MESSAGES: frozenset[Option] = frozenset(("window", "size_bytes", "payload", "codec"))
WORK: frozenset[Option] = frozenset(("work", "work_fail_share"))


def check_nothing(_spec: TrialSpec) -> None:
    """Accept any spec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of trial. Exactly one of ``measure`` and ``scene`` is set.

    ``name``       the value of ``TrialSpec.workload``.
    ``summary``    what happens, in a few words.
    ``face``       the face of the backend that a trial uses.
    ``options``    the options of a run that have a meaning for it.
    ``check``      raises UsageError where its own fields of a spec do not fit together.
    ``measure``    for a trial with a measured window: makes the measurement.
    ``scene``      for a safety trial: returns the scene. It is imported only then, so that the processes
                   of other trials need no memory for it.
    ``open_loop``  it sends at a given rate, and waits for nothing.
    ``bounded``    it bounds how many messages are in flight.
    ``beside``     its trials join the rows of other workloads: they have no length and no number of processes
                   of their own.
    ``shown_in``   whether its trials are shown in the rows of the comparison or in the safety tables.
    ``rate_field``  the field of a row that has its rate.
    ``latencies``  the fields of a row that have its latencies.
    ``tells_cost``  CPU time, memory and limit of a row come from its first workload that has this set.
    ``messages_per_count``  the number of messages in one unit of its rate.
    """

    name: str
    summary: str
    face: Callable[[TrialSpec], Face]
    options: frozenset[Option]
    check: Callable[[TrialSpec], None] = check_nothing
    measure: Callable[[TrialSpec, Site, Path], Measurement] | None = None
    scene: Callable[[], Scene] | None = None
    open_loop: bool = False
    bounded: bool = False
    beside: bool = False
    shown_in: Literal["rows", "cells"] = "rows"
    rate_field: str | None = None
    latencies: tuple[str, ...] = ()
    tells_cost: bool = False
    messages_per_count: int = 1

    @property
    def keeps_history(self) -> bool:
        """Return whether every operation of its trials is logged in a history."""
        return self.scene is not None


def used_as(face: Face) -> Callable[[TrialSpec], Face]:
    """Return the ``face`` function of a workload that uses every backend in the same way."""

    def always(_spec: TrialSpec) -> Face:
        return face

    return always
