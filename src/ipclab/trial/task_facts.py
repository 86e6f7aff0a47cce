"""The fault of a trial of task queues, and the figures that only such a trial has."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from ipclab.checks.tasks import TaskLedger
from ipclab.faults.words import TARGETS

TaskAction = Literal["kill", "terminate", "pause"]
"""SIGKILL, SIGTERM, or a stop that lasts past the redelivery while a second worker runs. A broker is killed
and started again."""
TaskTarget = Literal["executor", "worker", "tree", "broker"]
"""The process that runs the task; the process that was started as the worker; all processes of the worker;
the server. Of a pool, the worker is the process that submits."""
TaskMoment = Literal["idle", "reserved", "mid-task"]
"""Nothing is under way; the tasks wait behind another one that is held; the first task is held between its
begin and its end."""

TASK_ACTIONS: tuple[TaskAction, ...] = get_args(TaskAction)
TASK_TARGETS: tuple[TaskTarget, ...] = get_args(TaskTarget)
TASK_MOMENTS: tuple[TaskMoment, ...] = get_args(TaskMoment)
_STOPPING: tuple[TaskAction, ...] = ("pause",)
_OF_BROKERS: tuple[TaskAction, ...] = ("kill",)
ANY_TARGET: tuple[str, ...] = (*TARGETS, *(target for target in TASK_TARGETS if target not in TARGETS))
"""The targets of every experiment with faults, for ``--target``."""


class TaskFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault of a trial of task queues."""

    action: TaskAction
    target: TaskTarget
    moment: TaskMoment

    @property
    def stops(self) -> bool:
        """Return whether the processes stand still for a while and continue."""
        return self.action in _STOPPING

    @property
    def possible(self) -> bool:
        """Return whether the action exists for the target: a broker is only killed."""
        return self.target != "broker" or self.action in _OF_BROKERS

    def __str__(self) -> str:
        """Return the fault in a few words: ``kill executor, mid-task``."""
        return f"{self.action} {self.target}, {self.moment}"


class TaskFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a trial of a task queue measured.

    ``versions``     the packages of the framework, by name.
    ``ledger``       what became of the tasks.
    ``restarts``     how often the lab started a worker again that had ended.
    ``orphans``      processes of a worker that still ran after their own parent was gone.
    ``submits_per_s``, ``executes_per_s``  of the burst of a calm trial; None with a fault.
    ``worker_cpu_us_per_task``, ``broker_cpu_us_per_task``  CPU time within the burst; None where unknown.
    """

    versions: dict[str, str]
    ledger: TaskLedger
    restarts: int = 0
    orphans: int = 0
    submits_per_s: float | None = None
    executes_per_s: float | None = None
    worker_cpu_us_per_task: float | None = None
    broker_cpu_us_per_task: float | None = None
