"""Every workload that a trial can have, one file each; ``ALL`` is their list.

To add one: write its file, and enter its object here. Options, refusals, rows and headings follow from it.
"""

from __future__ import annotations

from ipclab.backends.base import Face
from ipclab.errors import UnknownNameError
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import MESSAGES, SHAPE, WORK, Option, Workload
from ipclab.trial.workloads.client import CLIENT
from ipclab.trial.workloads.counter import COUNTER
from ipclab.trial.workloads.crash import CRASH
from ipclab.trial.workloads.forced import FORCED
from ipclab.trial.workloads.lock import LOCK
from ipclab.trial.workloads.order import ORDER
from ipclab.trial.workloads.paced import PACED
from ipclab.trial.workloads.ping_pong import PING_PONG
from ipclab.trial.workloads.register import REGISTER
from ipclab.trial.workloads.stream import STREAM
from ipclab.trial.workloads.tasks import TASKS
from ipclab.trial.workloads.threads import THREADS

__all__ = [
    "ALL",
    "CLIENT",
    "COUNTER",
    "CRASH",
    "FORCED",
    "LOCK",
    "ORDER",
    "PACED",
    "PING_PONG",
    "REGISTER",
    "STREAM",
    "TASKS",
    "THREADS",
    "face",
    "named",
    "of",
    "options",
]

ALL: tuple[Workload, ...] = (
    STREAM,
    COUNTER,
    PING_PONG,
    PACED,
    CRASH,
    ORDER,
    REGISTER,
    LOCK,
    FORCED,
    CLIENT,
    TASKS,
    THREADS,
)
"""The order in which the workloads of a row decide its parameters and its cost: the first one counts."""
_BY_NAME = {workload.name: workload for workload in ALL}


def named(name: str) -> Workload:
    """Return the workload of this name. Raise UnknownNameError."""
    if name not in _BY_NAME:
        raise UnknownNameError("workload", name, _BY_NAME)
    return _BY_NAME[name]


def of(spec: TrialSpec) -> Workload:
    """Return the workload of this trial. Raise UnknownNameError."""
    return named(spec.workload)


def options(spec: TrialSpec) -> frozenset[Option]:
    """Return the options of a run that have a meaning for this trial. A study chooses rates and times itself.

    Raise UnknownNameError for an unknown workload.
    """
    if spec.study is None:
        # A run whose consumers are killed at work is judged by a limit on latency: see ``results.jobs``.
        judged = bool(spec.work) and of(spec) is CRASH
        return of(spec).options | {"slo"} if judged else of(spec).options
    chosen: frozenset[Option] = SHAPE | MESSAGES | WORK | {"arrivals"}
    return chosen if spec.study.slo is None else chosen | {"slo"}


def face(spec: TrialSpec) -> Face:
    """Return the face of the backend that this trial uses. Raise UnknownNameError for an unknown workload."""
    return of(spec).face(spec)
