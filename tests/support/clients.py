"""Playing scenarios of client libraries in tests."""

from __future__ import annotations

from pathlib import Path

from ipclab.backends.registry import Variant
from ipclab.brokers import Broker
from ipclab.host.start_methods import StartMethod
from ipclab.trial.client import SCENARIOS
from ipclab.trial.record import Safety, TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

NAMESPACE = "ipclab:client-test"


def defaults(*backends: str) -> list[str]:
    """Return the scenarios of a library with its defaults."""
    return [name for name, scenario in SCENARIOS.items() if scenario.fix and scenario.backend in backends]


def play(
    name: str,
    broker: Broker | None = None,
    *,
    backend: str = "",
    history: Path | None = None,
    start_method: StartMethod = "fork",
) -> TrialRecord:
    """Run a whole trial of a scenario and return its record."""
    variant = Variant(backend or SCENARIOS[name].backend)
    spec = TrialSpec(workload="client", backend=variant, scenario=name, start_method=start_method)
    return run_trial(spec, namespace=NAMESPACE, broker=broker, history=history)


def safety_of(record: TrialRecord) -> Safety:
    """Return the safety results of a trial that was carried out."""
    assert record.outcome == "finished", record.reason
    assert record.safety is not None
    return record.safety
