"""The cases of the experiment ``threads``, and what a trial of one measures."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

Where = Literal["threads", "processes", "interpreters"]
"""What the workers are: threads of one process, processes, or interpreters of one process (Python 3.14)."""
Work = Literal["bytes", "arrays", "cpu", "waiting", "n += 1", "n = f(n) + 1", "n += 1, locked"]
"""What a worker does with an item: nothing with 64 bytes, touch an array of 1 MiB, compute, wait; or, without
a queue, increment a shared number: as one statement, with a call between read and write, under a lock."""
COUNTING: tuple[Work, ...] = ("n += 1", "n = f(n) + 1", "n += 1, locked")
WORKERS: Mapping[Work, int] = {
    "bytes": 1,
    "arrays": 1,
    "cpu": 2,
    "waiting": 4,
    "n += 1": 4,
    "n = f(n) + 1": 4,
    "n += 1, locked": 4,
}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case.

    ``way`` is what carries the items, or the number that is shared. ``backend`` is the backend of the lab
    that is, or corresponds to, that way between processes.
    """

    way: str
    where: Where
    work: Work
    backend: str

    @property
    def name(self) -> str:
        """Return the name of the scenario of a trial: ``queue.Queue, cpu, threads``."""
        return f"{self.way}, {self.work}, {self.where}"


class ThreadFigures(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a trial of threads, processes or interpreters measured.

    ``gil``          whether the interpreter had its global lock when it measured.
    ``workers``      how many took part, beside the one that sends and collects.
    ``items``        carried there and back, in ``seconds`` of wall time; or increments.
    ``cpu_s``        CPU time of the whole process and its workers meanwhile.
    ``same_object``  whether a change by the receiver was seen by the sender; None without a queue.
    ``counted``      the value after all increments; None without a number.
    """

    way: str
    where: Where
    work: Work
    gil: bool
    workers: int
    items: int
    seconds: float
    cpu_s: float
    same_object: bool | None = None
    counted: int | None = None


_QUEUES: tuple[tuple[str, Where, str], ...] = (
    ("queue.Queue", "threads", "queue"),
    ("queue.SimpleQueue", "threads", "simple-queue"),
    ("collections.deque", "threads", "simple-queue"),
    ("multiprocessing.Queue", "processes", "queue"),
    ("multiprocessing.SimpleQueue", "processes", "simple-queue"),
    ("concurrent.interpreters.Queue", "interpreters", "queue"),
)
_WORKS: tuple[Work, ...] = ("bytes", "arrays", "cpu", "waiting")


def cases(*, interpreters: bool) -> tuple[Case, ...]:
    """Return all cases, those of one kind of work together; ``interpreters`` says whether there are any."""
    found = [
        Case(way=way, where=where, work=work, backend=backend)
        for work in _WORKS
        for way, where, backend in _QUEUES
        # NumPy cannot be imported in a second interpreter.
        if where != "interpreters" or (interpreters and work != "arrays")
    ]
    found += [Case(way="an attribute", where="threads", work=work, backend="value") for work in COUNTING]
    found += [
        Case(way="multiprocessing.Value", where="processes", work=work, backend="value") for work in COUNTING
    ]
    return tuple(found)
