"""Every discipline of every face, made to interleave: the unsafe ones race each time, the safe ones never."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from ipclab import history
from ipclab.backends.base import BrokerKind
from ipclab.backends.registry import Variant, backend_class, is_own
from ipclab.brokers import Broker
from ipclab.checks import verify
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.support import modes

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]

BrokerOf = Callable[[BrokerKind], Broker]
COUNTERS = [v for v in modes.counters([]) if is_own(v.name)]
TIMES = 3


def force(
    broker_of: BrokerOf, face: str, variant: Variant, kept: Path | None = None, start_method: str = "fork"
) -> TrialRecord:
    spec = TrialSpec(
        workload="forced",
        scenario=face,
        backend=variant,
        producers=2,
        start_method=start_method,  # type: ignore[arg-type]
    )
    kind = backend_class(spec.face, variant).broker
    record = run_trial(
        spec,
        namespace=f"ipclab:test-{secrets.token_hex(4)}",
        broker=broker_of(kind) if kind else None,
        history=kept,
    )
    assert (record.outcome, record.reason) == ("finished", "")
    return record


@pytest.mark.parametrize("variant", COUNTERS, ids=str)
def test_a_counter_loses_an_update_each_time_it_is_forced_to_unless_it_is_safe(
    broker_of: BrokerOf, variant: Variant
) -> None:
    unsafe = not modes.counter(variant).safe
    for _ in range(TIMES):
        safety = force(broker_of, "counter", variant).safety
        assert safety is not None
        assert (safety.shown, list(safety.anomalies)) == (unsafe, ["lost-update"] if unsafe else [])
        assert (safety.verdict, safety.broken) == ("valid", [])
        assert safety.counts == {"final": 1 if unsafe else 2}


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_a_race_can_be_forced_with_every_start_method(broker_of: BrokerOf, start_method: str) -> None:
    safety = force(broker_of, "counter", Variant.parse("value:discipline=naive"), None, start_method).safety
    assert safety is not None
    assert safety.shown


def test_the_history_that_is_kept_shows_the_same_to_anybody(broker_of: BrokerOf, tmp_path: Path) -> None:
    kept = tmp_path / "histories" / "0003.jsonl.gz"
    kept.parent.mkdir()
    safety = force(broker_of, "counter", Variant.parse("manager-dict:discipline=naive"), kept).safety
    assert safety is not None
    assert safety.history == "histories/0003.jsonl.gz"
    found = verify.check(history.read(kept))
    assert (found.verdict, found.anomalies) == ("invalid", {"lost-update": 1})
    assert "process 0" in safety.counterexample


@pytest.mark.parametrize(
    ("backend", "finding"),
    [
        ("value:discipline=naive", "both read before either wrote; the counter shows 1"),
        (
            "value:discipline=locked",
            "the second had to wait until the first had written",
        ),
        ("redis:discipline=watch", "both read before either wrote, and the second noticed and began again"),
        ("pipe:discipline=owner", "it is one request, so that nothing can come between"),
    ],
)
def test_the_finding_says_how_a_discipline_fares(broker_of: BrokerOf, backend: str, finding: str) -> None:
    safety = force(broker_of, "counter", Variant.parse(backend)).safety
    assert safety is not None
    assert safety.finding.startswith(finding)
