"""Races under load over registers and locks, with real processes and servers; and what breaks them."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ipclab import history
from ipclab.backends import registry
from ipclab.backends.base import BrokerKind, Pause
from ipclab.backends.local.mutex import FlagClient, ValueMutex
from ipclab.backends.local.register import ValueRegister
from ipclab.backends.registry import Variant, is_own, shared_class
from ipclab.backends.shared import MutexClient, RegisterClient
from ipclab.brokers import Broker
from ipclab.checks import verify
from ipclab.checks.breach import texts
from ipclab.conform import modes
from ipclab.experiment import Request
from ipclab.results import verdict
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]

BrokerOf = Callable[[BrokerKind], Broker]
REGISTERS = [variant for variant in Request().registers() if is_own(variant.name)]
MUTEXES = [variant for variant in Request().mutexes() if is_own(variant.name)]


def race(
    broker_of: BrokerOf, workload: str, variant: Variant, kept: Path | None = None, **settings: Any
) -> TrialRecord:
    chosen = {"producers": 3, "warmup_s": 0.1, "duration_s": 0.1, "start_method": "fork", **settings}
    spec = TrialSpec(workload=workload, backend=variant, **chosen)
    kind = shared_class(workloads.face(spec), variant).broker
    return run_trial(
        spec,
        namespace=f"ipclab:test-{secrets.token_hex(4)}",
        broker=broker_of(kind) if kind else None,
        history=kept,
    )


@pytest.mark.parametrize(
    ("workload", "variant"),
    [*(("register", v) for v in REGISTERS), *(("lock", v) for v in MUTEXES)],
    ids=lambda value: str(value),
)
def test_a_safe_discipline_withstands_load_and_every_one_has_a_rate(
    broker_of: BrokerOf, workload: str, variant: Variant, tmp_path: Path
) -> None:
    kept = tmp_path / "history.jsonl.gz"
    record = race(broker_of, workload, variant, kept)
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.safety is not None
    assert (record.safety.verdict, record.safety.broken) == ("valid", [])
    assert record.rate_per_s == record.safety.counts["measured"] / 0.1
    assert record.rate_per_s > 0
    safe = modes.shared(workload, variant).safe
    assert record.guarantees["safe"] is safe
    assert record.safety.shown is bool(record.safety.anomalies)
    assert not (safe and record.safety.anomalies)
    whole = history.read(kept)
    assert len(whole) > 3
    assert verify.check(whole).anomalies == record.safety.anomalies


class ForgetfulRegister(ValueRegister):
    """Its writes come to nothing, and it declares itself safe."""

    name = "forgetful"

    def client(self, index: int) -> RegisterClient:
        client = super().client(index)
        client.write = lambda value: None  # type: ignore[method-assign]
        return client


class LyingMutex(ValueMutex):
    """A flag that is looked at and then set, and declares itself safe."""

    name = "lying"

    @property
    def safe(self) -> bool:
        return True

    def client(self, index: int) -> MutexClient:
        return FlagClient(self._flag)

    def held_client(self, index: int, pause: Pause) -> MutexClient | None:
        from ipclab.backends.held import hold

        return FlagClient(hold(self._flag, pause, "value"))


class FailingMutex(ValueMutex):
    """Its third acquire raises."""

    name = "failing"

    def client(self, index: int) -> MutexClient:
        return _Failing()


class _Failing(MutexClient):
    def __init__(self) -> None:
        self.count = 0

    def acquire(self) -> None:
        self.count += 1
        if self.count == 3:
            raise OSError("the server is gone")

    def release(self) -> None:
        pass


class HangingMutex(ValueMutex):
    """Nobody releases it."""

    name = "hanging"

    def client(self, index: int) -> MutexClient:
        client = super().client(index)
        client.release = lambda: None  # type: ignore[method-assign]
        return client


class SilentMutex(ValueMutex):
    """Does not say how its clients are held."""

    name = "silent"
    held_client = registry.Mutex.held_client


@pytest.fixture
def lying() -> Iterator[None]:
    """Locks that are not what they should be, in the registry."""
    kinds = (LyingMutex, FailingMutex, HangingMutex, SilentMutex)
    registry._mutexes().update({kind.name: kind for kind in kinds})
    registry._registers().update({ForgetfulRegister.name: ForgetfulRegister})
    yield
    registry._mutexes.cache_clear()
    registry._registers.cache_clear()


@pytest.mark.usefixtures("lying")
def test_a_lock_that_declares_itself_safe_and_is_not_is_broken_each_time_it_is_forced(
    broker_of: BrokerOf,
) -> None:
    record = race(broker_of, "forced", Variant("lying"), producers=2, scenario="lock")
    assert record.safety is not None
    assert (record.safety.verdict, record.safety.anomalies) == ("invalid", {"two-holders": 1})
    assert texts(record.safety.broken) == ["declares itself safe, and: two-holders 1"]
    assert verdict.of_trial(record) == "broken"


@pytest.mark.usefixtures("lying")
def test_a_register_that_forgets_what_was_written_is_broken_under_load(broker_of: BrokerOf) -> None:
    record = race(broker_of, "register", Variant("forgetful"))
    assert record.safety is not None
    assert set(record.safety.anomalies) == {"stale-read"}
    assert record.safety.shown
    assert verdict.of_trial(record) == "broken"
    assert "write" in record.safety.counterexample
    assert "read" in record.safety.counterexample


@pytest.mark.usefixtures("lying")
def test_an_operation_that_raises_fails_the_trial_in_one_line(broker_of: BrokerOf) -> None:
    record = race(broker_of, "lock", Variant("failing"))
    assert record.outcome == "failed"
    assert record.reason.endswith("OSError: the server is gone")


@pytest.mark.usefixtures("lying")
def test_a_lock_that_nobody_releases_ends_the_trial_and_leaves_no_process(broker_of: BrokerOf) -> None:
    record = race(broker_of, "lock", Variant("hanging"), grace_s=0.5)
    assert record.outcome == "failed"
    assert "did not return within" in record.reason


@pytest.mark.usefixtures("lying")
def test_a_lock_that_does_not_say_how_it_is_held_is_not_forced(broker_of: BrokerOf) -> None:
    record = race(broker_of, "forced", Variant("silent"), producers=2, scenario="lock")
    assert record.safety is not None
    assert record.safety.shown is None
    assert "does not say how its clients are held" in record.safety.refused
