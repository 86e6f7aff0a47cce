"""A race within a server: nobody can hold its steps, and load shows what a forced trial cannot."""

from __future__ import annotations

import time
from multiprocessing.managers import BaseManager
from typing import Any, ClassVar

import pytest

from ipclab.backends import registry
from ipclab.backends.base import CounterClient, Option, Pause
from ipclab.backends.local.counter import ValueCounter
from ipclab.backends.registry import Variant
from ipclab.errors import CannotHoldError
from ipclab.results.rows.build import rows
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec


class Number:
    """What the manager's server holds; each client is served by a thread of its own."""

    def __init__(self) -> None:
        self._value = 0

    def add(self) -> None:
        """Add one, as slowly as any Python between the two lines may happen to be."""
        found = self._value
        time.sleep(0.002)
        self._value = found + 1

    def get(self) -> int:
        """Return the number."""
        return self._value


class Manager(BaseManager):
    """Serves one number."""


Manager.register("number", Number)


class _Client(CounterClient):
    def __init__(self, number: Any) -> None:
        self._number = number

    def increment(self) -> None:
        self._number.add()

    def read(self) -> int:
        return int(self._number.get())


class RegisteredCounter(ValueCounter):
    """An increment is one call of a registered object, which runs in a thread of the server."""

    name = "registered"
    options = (Option("discipline", "call", "one call", ("call",)),)
    atomic: ClassVar[bool] = True
    _manager: Any = None
    _number: Any = None

    @property
    def safe(self) -> bool:
        return True

    def setup(self) -> None:
        self._manager = Manager(ctx=self.site.context)
        self._manager.start()
        self._number = self._manager.number()

    def client(self, index: int) -> CounterClient:
        return _Client(self._number)

    def held_client(self, index: int, pause: Pause) -> CounterClient | None:  # type: ignore[override]
        if self.atomic:
            return None
        raise CannotHoldError("it runs in the server")

    def teardown(self) -> None:
        self._manager.shutdown()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_manager": None}


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    every = {**registry._counters(), RegisteredCounter.name: RegisteredCounter}
    monkeypatch.setattr(registry, "_counters", lambda: every)


def run(workload: Any, **more: Any) -> TrialRecord:
    spec = TrialSpec(
        workload=workload,
        backend=Variant("registered"),
        producers=2,
        warmup_s=0.0,
        duration_s=0.3,
        start_method="fork",
        **more,
    )
    return run_trial(spec, namespace="ipclab:unit:0")


@pytest.mark.parametrize(("atomic", "hold"), [(True, "one step"), (False, "out of reach")])
def test_harm_within_a_server_is_possible_though_nobody_can_be_held_there(
    atomic: bool, hold: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RegisteredCounter, "atomic", atomic)
    by_force, load = run("forced", scenario="counter"), run("counter")
    assert by_force.safety is not None
    assert by_force.safety.hold == hold
    assert bool(by_force.safety.refused) != atomic
    assert load.counter is not None
    assert load.counter.lost > 0
    (row,) = rows([load, by_force])
    assert row.race is not None
    assert (row.race.observed, row.race.shown) == (1, 0)
    assert (row.race.one_step, row.race.out_of_reach) == (int(atomic), int(not atomic))
    assert row.verdict == "broken"
