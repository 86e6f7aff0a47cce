"""The fields of a row whose trials ran on several machines. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from ipclab.results.rows.row import percentiles
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec


def placement(spec: TrialSpec) -> str:
    """Return the machines of the workers as text: ``producers 1,2; consumers 3``; empty for this machine."""
    return "; ".join(f"{role}s {','.join(map(str, where))}" for role, where in spec.placement.items())


def with_one_way(paced: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the trials whose one-way latencies are not withheld."""
    return [trial for trial in paced if trial.machines is None or trial.machines.withheld is None]


def distance_of(done: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return these fields for finished trials of the same settings; empty where they ran on one machine."""
    timed = [
        (trial, trial.machines)
        for trial in done
        if trial.machines is not None and workloads.of(trial.spec).open_loop
    ]
    bounds_ns = [machines.bound_ns for _, machines in timed if machines.bound_ns is not None]
    reasons = Counter(machines.withheld.reason for _, machines in timed if machines.withheld is not None)
    return {
        "clock_bound_ns": max(bounds_ns, default=None),
        "one_way_withheld": reasons.most_common(1)[0][0] if reasons else "",
        "same_machine": percentiles([trial.latency.same_machine for trial, _ in timed]),
    }
