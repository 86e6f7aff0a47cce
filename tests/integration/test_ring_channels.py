"""The rings: what the unsafe one loses is counted and is no breach, and neither leaves a segment behind."""

from __future__ import annotations

import os
import signal

import pytest

from ipclab.backends.local.ring import RingChannel
from ipclab.backends.registry import Variant
from ipclab.host import segments
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


def test_no_ring_is_left_when_the_process_of_the_trial_is_killed_before_its_teardown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    setup = RingChannel.setup

    def killed(ring: RingChannel) -> None:
        setup(ring)
        os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(RingChannel, "setup", killed)
    spec = TrialSpec(workload="stream", backend=Variant("shm-ring"), warmup_s=0.0, duration_s=0.1)
    record = run_trial(spec, namespace="ipclab:test-killed")
    assert record.outcome == "failed"
    assert not list(segments.FOLDER.glob(f"{segments.prefix()}*"))
