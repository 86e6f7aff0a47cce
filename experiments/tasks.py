"""What does a task queue lose when a worker or the broker is killed, and what does each task cost?

The lab starts the framework's own worker, with one executor, and submits tasks that log their begin and
their end. One trial is calm: it measures the rates, the CPU time and the latency. In the others eight tasks
are under way when a fault strikes: the executor is killed, all processes of the worker are killed, or the
broker is killed and started again. Unsafe defaults stand
beside the setting that fixes them.

``--target`` and ``--fault`` choose other faults than the usual ones: all that fit, at every moment.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from ipclab.backends.registry import Variant, task_class
from ipclab.errors import UsageError
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import TASK_ACTIONS, TASK_MOMENTS, TASK_TARGETS, TaskFault

ROWS = (
    "process-pool",
    "celery-redis",
    "celery-redis:ack=reject,timeout_s=4,sweep=fast",
    "celery-rabbitmq:ack=reject,confirm=publisher",
    "rq",
    "rq:retry=yes",
    "dramatiq-redis",
    "dramatiq-redis:heartbeat=short",
    "dramatiq-rabbitmq:confirm=publisher",
    "huey",
    "taskiq-stream",
    "taskiq-rabbitmq",
    "procrastinate",
)
"""The task queues of a usual run: as each comes, then with what fixes it. ``--backend`` names other modes."""
USUAL = (
    TaskFault(action="kill", target="executor", moment="mid-task"),
    TaskFault(action="kill", target="tree", moment="mid-task"),
    TaskFault(action="kill", target="broker", moment="mid-task"),
)
"""The faults of a usual run."""
AOF = {"appendonly": "yes"}
PACED_S = 2.0
"""The seconds of a calm trial in which tasks come at a rate. ``--duration`` sets it: p99 wants 1000 tasks."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every task queue in a calm trial, and then with each fault that it can suffer."""
    variants = request.task_queues() if request.backends else [Variant.parse(text) for text in ROWS]
    for backend in variants:
        yield request.trial(workload="tasks", backend=backend, warmup_s=0.0, duration_s=PACED_S, grace_s=60.0)
    for fault in faults(request):
        for backend in variants:
            for settings in _settings(backend, fault):
                yield request.trial(
                    workload="tasks",
                    backend=backend,
                    task_fault=fault,
                    scenario=str(fault),
                    broker_settings=settings,
                    warmup_s=0.0,
                    duration_s=PACED_S,
                    grace_s=60.0,
                )


def faults(request: Request) -> list[TaskFault]:
    """Return the usual faults, or all that fit what the user asked for.

    Raise UsageError for a fault or a target that a task queue does not have.
    """
    if not request.faults and not request.targets:
        return list(USUAL)
    for asked, known, flag in (
        (request.faults, TASK_ACTIONS, "--fault"),
        (request.targets, TASK_TARGETS, "--target"),
    ):
        if other := [one for one in asked if one not in known]:
            raise UsageError(f"tasks has no {flag} {other[0]}; it has {', '.join(known)}")
    every = itertools.product(TASK_ACTIONS, TASK_TARGETS, TASK_MOMENTS)
    return [
        TaskFault(action=action, target=target, moment=moment)
        for action, target, moment in every
        if (not request.faults or action in request.faults)
        and (not request.targets or target in request.targets)
        and (action == "kill" or target != "broker")
        and (action != "pause" or (target == "tree" and moment == "mid-task"))
    ]


def _settings(backend: Variant, fault: TaskFault) -> Iterator[dict[str, str]]:
    """Yield the settings of the broker with which this fault is tried; none where it cannot be suffered."""
    kind = task_class(backend)
    if kind.in_process and fault.action == "pause":
        return
    if fault.target != "broker":
        yield {}
    elif kind.broker is not None:
        yield {}
        if kind.broker == "redis":
            yield AOF


EXPERIMENT = Experiment(
    name="tasks",
    question="What does a task queue lose when a worker or the broker is killed, and what does a task cost?",
    trials=trials,
    repeats=1,
)

if __name__ == "__main__":
    main(EXPERIMENT)
