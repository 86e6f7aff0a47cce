"""Every workload that a trial can have, one file each; ``ALL`` is the list of them.

To add one: write its file, and enter its object here. Options, refusals, rows and headings follow from it.
"""

from __future__ import annotations

from ipclab.backends.base import Face
from ipclab.errors import UnknownNameError
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workload import Workload
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
    "face",
    "named",
    "of",
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
)
"""The first of the workloads of a row says what the row was asked, and what it cost."""
_BY_NAME = {workload.name: workload for workload in ALL}


def named(name: str) -> Workload:
    """Return the workload of this name. Raises UnknownNameError."""
    if name not in _BY_NAME:
        raise UnknownNameError("workload", name, _BY_NAME)
    return _BY_NAME[name]


def of(spec: TrialSpec) -> Workload:
    """Return the workload of this trial. Raises UnknownNameError."""
    return named(spec.workload)


def face(spec: TrialSpec) -> Face:
    """Return what this trial uses its backend as. Raises UnknownNameError for an unknown workload."""
    return of(spec).face(spec)
