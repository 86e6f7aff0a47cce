"""What does a task queue lose when a worker or the broker is killed, and what does each task cost?

The lab starts the framework's own worker, with one executor, and submits tasks that log their begin and
their end. One trial is calm: it measures the rates, the CPU time and the latency. In the others eight tasks
are under way when a fault strikes: the executor is killed, all processes of the worker are killed, the
worker is paused while a second one works, or the broker is killed and started again. Unsafe defaults stand
beside the setting that fixes them.

``--target`` and ``--fault`` choose other faults than the usual ones.
"""

from __future__ import annotations

from collections.abc import Iterator

from ipclab.backends.registry import Variant, task_class
from ipclab.experiment import Experiment, Request
from ipclab.program import main
from ipclab.trial.spec import TrialSpec
from ipclab.trial.task_facts import TaskFault

ROWS = (
    "pool",
    "process-pool",
)
"""The task queues, each in the modes that differ in what they lose."""
USUAL = (
    TaskFault(action="kill", target="executor", moment="mid-task"),
    TaskFault(action="kill", target="tree", moment="mid-task"),
    TaskFault(action="pause", target="tree", moment="mid-task"),
    TaskFault(action="kill", target="broker", moment="mid-task"),
)
"""The faults of a usual run."""
AOF = {"appendonly": "yes"}
CALM_S, FAULT_S = 7.0, 9.0
"""About how long a trial takes."""


def trials(request: Request, repeat: int) -> Iterator[TrialSpec]:
    """Yield every task queue in a calm trial, and then with each fault that it can suffer."""
    variants = request.task_queues() if request.backends else [Variant.parse(text) for text in ROWS]
    for backend in variants:
        yield request.trial(workload="tasks", backend=backend, warmup_s=0.0, duration_s=CALM_S, grace_s=60.0)
    for fault in USUAL:
        for backend in variants:
            for settings in _settings(backend, fault):
                yield request.trial(
                    workload="tasks",
                    backend=backend,
                    task_fault=fault,
                    scenario=str(fault),
                    broker_settings=settings,
                    warmup_s=0.0,
                    duration_s=FAULT_S,
                    grace_s=60.0,
                )


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
