"""Whether other processes were at work while a run was measured. Pure."""

from __future__ import annotations

import statistics

from ipclab.host.texts import tr
from ipclab.results import again
from ipclab.results.result import Result
from ipclab.results.units import number, of

BUSY_SHARE = 0.25
"""Of the processors, that others used in half of the trials or more, from which on figures are rough."""
_REPEATS = 10


def others_cores(result: Result) -> float | None:
    """Return how many processors others used in the median of the measured trials; None where not known."""
    found = [t.cost.others_cores for t in result.trials if t.cost and t.cost.others_cores is not None]
    return statistics.median(found) if found else None


def warning(result: Result) -> str:
    """Return one line about a run on a busy machine; empty where it was idle enough, or that is not known."""
    cores, used = result.environment.cores, others_cores(result)
    if used is None or used < BUSY_SHARE * cores:
        return ""
    if any(t.spec.study is not None and t.spec.study.kind == "capacity" for t in result.trials):
        # More repeats would be more searches, each with its own void trials.
        return tr(
            "Busy machine: other processes used {used} of {cores}, so some ends of brackets may be unknown; "
            "repeat on an idle machine: {result}",
            used=number(used, 2),
            cores=of(cores, "core"),
            result=again.command(result),
        )
    return tr(
        "Busy machine: other processes used {used} of {cores}, so figures are "
        "rough; repeat on an idle machine, or with more repeats: {result}",
        used=number(used, 2),
        cores=of(cores, "core"),
        result=again.command(result, repeats=str(_REPEATS)),
    )
