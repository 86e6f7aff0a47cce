"""Task queues with real workers: the executor is killed in the middle of a task."""

from __future__ import annotations

import pytest

from ipclab.backends.registry import Variant
from ipclab.brokers import Broker
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import TaskFault, TaskFigures

pytestmark = [pytest.mark.timeout(120, method="signal"), pytest.mark.usefixtures("nothing_left")]
MID_TASK = TaskFault(action="kill", target="executor", moment="mid-task")


def suffer(backend: str, fault: TaskFault, broker: Broker | None = None) -> tuple[TrialRecord, TaskFigures]:
    spec = TrialSpec(
        workload="tasks", backend=Variant.parse(backend), task_fault=fault, scenario=str(fault), grace_s=60.0
    )
    record = run_trial(spec, namespace="ipclab:tasks-test:0", broker=broker)
    assert record.outcome == "finished", record.reason
    assert record.side_effects == []
    assert record.tasks is not None
    return record, record.tasks


def test_celery_loses_the_task_of_a_killed_child_and_does_the_others(redis_broker: Broker) -> None:
    record, figures = suffer("celery-redis", MID_TASK, redis_broker)
    ledger = figures.ledger
    assert (ledger.confirmed, ledger.executed, ledger.lost, ledger.stuck) == (8, 7, 1, 0)
    assert ledger.half_done == 1
    assert record.safety is not None
    assert record.safety.verdict == "valid"
    assert figures.versions.keys() == {"celery", "kombu", "redis"}


def test_celery_does_the_task_again_that_it_acknowledges_late_and_rejects(redis_broker: Broker) -> None:
    _, figures = suffer("celery-redis:ack=reject", MID_TASK, redis_broker)
    ledger = figures.ledger
    assert (ledger.executed, ledger.lost, ledger.begun_twice) == (8, 0, 1)
    assert ledger.redone_after_ns is not None


def test_a_pool_loses_the_task_of_a_killed_process_and_does_the_others() -> None:
    _, figures = suffer("pool", MID_TASK)
    assert (figures.ledger.executed, figures.ledger.lost) == (7, 1)


def test_an_executor_loses_every_task_with_a_killed_process() -> None:
    _, figures = suffer("process-pool", MID_TASK)
    assert (figures.ledger.executed, figures.ledger.lost) == (0, 8)


def test_a_pool_whose_program_is_killed_leaves_an_orphan_and_is_started_again() -> None:
    _, figures = suffer("process-pool", TaskFault(action="kill", target="worker", moment="mid-task"))
    assert figures.orphans == 1
    assert figures.restarts == 1
    assert figures.ledger.lost > 0


def test_a_calm_pool_executes_every_task_once() -> None:
    spec = TrialSpec(workload="tasks", backend=Variant("pool"), grace_s=60.0)
    record = run_trial(spec, namespace="ipclab:tasks-test:0")
    assert record.outcome == "finished", record.reason
    assert record.tasks is not None
    assert record.tasks.ledger.executed == record.tasks.ledger.attempted > 1000
    assert record.tasks.executes_per_s
    assert record.latency.end_to_end is not None
    assert record.latency.end_to_end.negative == 0
