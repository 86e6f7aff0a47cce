"""``tasks``: a task queue with the framework's own worker, calm or with a fault."""

from __future__ import annotations

from ipclab.errors import UsageError
from ipclab.trial.safety import Scene
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import Workload, used_as


def _scene() -> Scene:
    from ipclab.trial.scenes.tasks import play

    return play


def _check(spec: TrialSpec) -> None:
    fault = spec.task_fault
    if fault is not None and not fault.possible:
        raise UsageError("tasks kills a broker and starts it again; it does nothing else to one")


TASKS = Workload(
    name="tasks",
    summary="a task queue, calm or with a fault",
    face=used_as("task"),
    options=frozenset(("faults", "targets", "duration_s")),
    check=_check,
    scene=_scene,
    shown_in="cells",
)
