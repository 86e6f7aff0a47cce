"""What the user needs of a backend that carries jobs."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from ipclab.errors import UsageError
from ipclab.payload.kinds import PLAIN

Event = Literal["consumer", "producer", "broker", "reboot"]
"""What a job must survive: the death of a process, or a restart of the machine of the broker."""
EVENTS: tuple[Event, ...] = get_args(Event)
Harm = Literal["lose", "repeat", "reorder"]
HARMS: tuple[Harm, ...] = get_args(Harm)


class Needs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The needs. None means that it does not matter.

    ``may``       what may happen to a job, besides being done once and in the order of its producer.
    ``survive``   the events in which jobs are still done: with what ``may`` allows, and nothing else.
    ``hosts``     the number of machines on which the processes run.
    ``servers``   the kinds of servers that may be used; None for all.
    ``rate_per_s``  jobs of all producers together; ``p99_ns`` is the limit for their latency, which counts
                  from the moment at which a job is due.
    ``size_bytes``  of one job; with ``smallest_bytes`` above 0 the sizes are drawn between the two.
    ``payload``   what a job is, as text for ``--payload``; ``work`` what a consumer does with it, as text for
                  ``--work``. The latency reaches to the end of the work.
    """

    may: frozenset[Harm] = frozenset()
    survive: frozenset[Event] = frozenset()
    hosts: int = 1
    servers: frozenset[str] | None = None
    producers: int = 1
    consumers: int = 1
    size_bytes: int | None = None
    smallest_bytes: int = 0
    payload: str = PLAIN
    work: str = ""
    rate_per_s: float | None = None
    p99_ns: int | None = None

    @property
    def has_load(self) -> bool:
        """Return whether a load is given, so that speed can be judged."""
        return self.rate_per_s is not None

    def check(self) -> None:
        """Raise UsageError where the needs contradict one another, or a part of a load is missing."""
        for name in ("hosts", "producers", "consumers"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be a whole number above 0")
        if self.p99_ns is not None and self.rate_per_s is None:
            raise UsageError("a limit for p99 needs a rate: latency depends on it; give --rate too")
        if self.rate_per_s is not None and self.size_bytes is None:
            raise UsageError("a rate needs the size of a job: give --size too")
        if self.rate_per_s is None and (self.work or self.payload != PLAIN):
            raise UsageError("a payload and work are parts of a load: give --rate too")
