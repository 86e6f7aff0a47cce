"""Short trials of a backend that a test calls ``hostile``."""

from __future__ import annotations

from typing import Any

from ipclab.backends.registry import Variant
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec


def run(workload: Any = "stream", **settings: Any) -> TrialRecord:
    """Run a trial of the backend ``hostile``, as short as it can be."""
    spec = TrialSpec(
        **{
            "workload": workload,
            "backend": Variant("hostile"),
            "size_bytes": 64,
            "warmup_s": 0.0,
            "duration_s": 0.05,
            "drain_s": 0.1,
            "grace_s": 10.0,
            **settings,
        }
    )
    return run_trial(spec, namespace="ipclab:unit:0")
