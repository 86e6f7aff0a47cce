"""Task queues with real workers: the executor is killed in the middle of a task."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ipclab import tasks
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


def test_rq_does_the_job_of_a_killed_process_again_where_it_has_a_retry(redis_broker: Broker) -> None:
    _, figures = suffer("rq:retry=yes", MID_TASK, redis_broker)
    assert (figures.ledger.executed, figures.ledger.lost, figures.ledger.begun_twice) == (8, 0, 1)


def test_a_job_of_a_killed_rq_worker_is_stuck_and_not_lost(redis_broker: Broker) -> None:
    _, figures = suffer("rq", TaskFault(action="kill", target="tree", moment="mid-task"), redis_broker)
    ledger = figures.ledger
    assert (ledger.executed, ledger.lost, ledger.stuck, figures.restarts) == (7, 0, 1, 1)


def test_rabbitmq_hands_the_tasks_of_a_killed_dramatiq_to_the_next_one(rabbitmq_broker: Broker) -> None:
    whole = TaskFault(action="kill", target="tree", moment="mid-task")
    _, figures = suffer("dramatiq-rabbitmq:confirm=publisher", whole, rabbitmq_broker)
    assert (figures.ledger.executed, figures.ledger.lost, figures.ledger.begun_twice) == (8, 0, 1)


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


_LAB = """
from ipclab.backends.registry import Variant
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import TaskFault

if __name__ == "__main__":
    fault = TaskFault(action="kill", target="executor", moment="mid-task")
    run_trial(
        TrialSpec(workload="tasks", backend=Variant("process-pool"), task_fault=fault, grace_s=60.0),
        namespace="ipclab:tasks-test:0",
    )
"""


def test_no_process_of_a_task_queue_outlives_a_lab_that_is_killed(tmp_path: Path) -> None:
    program = tmp_path / "lab.py"
    program.write_text(_LAB)
    lab = subprocess.Popen([sys.executable, str(program)], env={**os.environ, "TMPDIR": str(tmp_path)})
    try:
        while not any(log.stat().st_size for log in tmp_path.glob(f"*/{tasks.LOG_NAME}")):
            assert lab.poll() is None
            time.sleep(0.02)
        assert in_trials_of(tmp_path)
    finally:
        lab.kill()
        lab.wait()
    while in_trials_of(tmp_path):
        time.sleep(0.05)


def in_trials_of(folder: Path) -> list[psutil.Process]:
    """Return the running submitters, workers and executors of all trials in this folder."""
    found = []
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            running = process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            continue
        if running and environment.get(tasks.FOLDER_VARIABLE, "").startswith(str(folder)):
            found.append(process)
    return found
