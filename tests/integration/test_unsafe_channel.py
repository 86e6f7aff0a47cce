"""The unsafe ring, under load: what it loses is counted, is no breach, and the row is called unsafe."""

from __future__ import annotations

from ipclab.backends.registry import Variant
from ipclab.results import verdict
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec


def test_a_ring_without_a_lock_is_measured_as_unsafe() -> None:
    spec = TrialSpec(
        workload="stream",
        backend=Variant("shm-ring-naive"),
        producers=2,
        consumers=2,
        warmup_s=0.0,
        duration_s=0.1,
    )
    record = run_trial(spec, namespace="ipclab:test-unsafe")
    assert record.outcome == "finished", record.reason
    assert record.ledger is not None
    assert (record.ledger.verdict, record.ledger.broken) == ("valid", [])
    assert verdict.of_trial(record) == "unsafe"
