"""The fields of a row that its trials with work fill. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipclab.results.rows.row import Jobs, figure, percentiles
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec


def work_of(spec: TrialSpec, done: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return these fields for finished trials of the same settings; empty where those have no work."""
    if not spec.work:
        return {}
    worked = [trial.work for trial in done if trial.work is not None]
    names = Jobs.__struct_fields__
    return {
        "work": spec.work,
        "work_fail_share": spec.work_fail_share,
        "utilisation": figure([each.utilisation for each in worked]),
        "to_receipt": percentiles([each.receipt for each in worked]),
        "handling": percentiles([each.handling for each in worked]),
        "jobs": Jobs(**{name: sum(getattr(each, name) for each in worked) for name in names})
        if worked
        else None,
    }
