"""The verdict on what became of tasks: what a task queue declares, and how long the lab waited."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from ipclab.backends.tasks.redis import declared
from ipclab.checks.tasks import TaskLedger
from ipclab.trial.scenes.tasks import judge
from ipclab.trial.task_facts import TaskFault

EXECUTOR = TaskFault(action="kill", target="executor", moment="mid-task")
BROKER = TaskFault(action="kill", target="broker", moment="mid-task")
ALL = TaskLedger(
    attempted=8, confirmed=8, executed=8, lost=0, stuck=0, late=0, twice=0, begun_twice=0, half_done=0
)
LOST = replace(ALL, executed=7, lost=1)
STUCK = replace(ALL, executed=7, stuck=1)


@pytest.mark.parametrize(
    ("fault", "verdict"), [(EXECUTOR, "valid"), (BROKER, "invalid"), (None, "invalid")], ids=str
)
def test_a_loss_is_a_breach_unless_its_cause_is_declared(fault: TaskFault | None, verdict: str) -> None:
    found = judge(LOST, fault, declared("at-most-once", "consumer crash"), waited=True)
    assert found.verdict == verdict
    assert [breach.kind for breach in found.broken] == ([] if verdict == "valid" else ["lost"])


def test_a_stuck_task_is_a_breach_only_where_its_redelivery_was_waited_for() -> None:
    promise = declared("at-least-once")
    assert judge(STUCK, EXECUTOR, promise, waited=False).verdict == "valid"
    assert judge(STUCK, EXECUTOR, promise, waited=True).verdict == "invalid"


def test_a_task_that_came_late_is_no_breach() -> None:
    late = replace(ALL, stuck=1, late=1)
    assert judge(late, EXECUTOR, declared("at-least-once"), waited=True).verdict == "valid"


@pytest.mark.parametrize(("delivery", "verdict"), [("at-most-once", "invalid"), ("at-least-once", "valid")])
def test_a_task_executed_twice_is_a_breach_where_that_is_declared_never_to_happen(
    delivery: str, verdict: str
) -> None:
    twice = replace(ALL, twice=1, begun_twice=1)
    assert judge(twice, EXECUTOR, declared(delivery), waited=True).verdict == verdict


def test_stuck_tasks_that_never_came_are_counted_as_undelivered_and_not_as_lost() -> None:
    counts = judge(STUCK, EXECUTOR, declared("at-least-once"), waited=False).counts
    assert (counts["lost"], counts["undelivered"], counts["confirmed"]) == (0, 1, 8)
