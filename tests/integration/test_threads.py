"""``ipclab run threads``: a trial with workers of each kind ends as a record with figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipclab.backends.registry import Variant
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from ipclab.trial.thread_facts import cases


@pytest.mark.parametrize("where", ["threads", "processes"])
def test_a_case_is_measured_in_a_process_of_its_own(where: str, tmp_path: Path) -> None:
    case = next(c for c in cases(interpreters=False) if c.where == where and c.work == "cpu")
    spec = TrialSpec(
        workload="threads", scenario=case.name, backend=Variant(case.backend), warmup_s=0.0, duration_s=0.05
    )
    record = run_trial(spec, namespace="ipclab:test-threads")
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.threads is not None
    assert record.threads.items > 0
    assert record.threads.same_object is (where == "threads")
