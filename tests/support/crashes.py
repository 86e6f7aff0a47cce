"""Playing cells of the fault matrix and scenarios of order in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ipclab.backends.registry import Variant, channel_class
from ipclab.brokers import Broker, kinds
from ipclab.faults.spec import FaultSpec
from ipclab.trial.record import Safety, TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

NAMESPACE = "ipclab:crash-test"
LOCAL_GRACE_S = 2.0


def fault(words: str) -> FaultSpec:
    """Return the fault of a text like ``kill consumer, busy``, the form of ``str(FaultSpec)``."""
    what, _, moment = words.partition(", ")
    action, target = what.split(" ")
    return FaultSpec(action=action, target=target, moment=moment)  # type: ignore[arg-type]


def play(
    backend: str,
    words: str,
    broker: Broker | None = None,
    *,
    history: Path | None = None,
    **settings: Any,
) -> TrialRecord:
    """Run a cell of the matrix as the experiment does, and return its record."""
    variant = Variant.parse(backend)
    channel = channel_class(variant)
    spec = TrialSpec(
        **{
            "workload": "crash",
            "backend": variant,
            "fault": fault(words),
            "producers": min(2, channel.max_producers or 2),
            "consumers": min(2, channel.max_consumers or 2),
            "grace_s": kinds.get(channel.broker).call_grace_s if channel.broker else LOCAL_GRACE_S,
            **settings,
        }
    )
    return run_trial(spec, namespace=NAMESPACE, broker=broker, history=history)


def safety_of(record: TrialRecord) -> Safety:
    """Return the safety results of a trial that was carried out."""
    assert record.outcome == "finished", record.reason
    assert record.safety is not None
    assert not record.safety.refused
    return record.safety


def play_order(backend: str, scenario: str, broker: Broker | None = None, **settings: Any) -> TrialRecord:
    """Run a scenario of the order experiment, and return its record."""
    spec = TrialSpec(
        **{
            "workload": "order",
            "backend": Variant.parse(backend),
            "scenario": scenario,
            "producers": 2,
            "consumers": 1,
            "grace_s": 6.0,
            **settings,
        }
    )
    return run_trial(spec, namespace=NAMESPACE, broker=broker)
