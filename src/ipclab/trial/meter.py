"""Samples the resource use of all processes at both ends of the measured window, from outside."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ipclab.brokers.base import Broker, Usage
from ipclab.host.clock import now_ns
from ipclab.host.resources import cpu_s, machine_cpu_s, queued_s, rss_bytes

MARGIN = 1.5
"""The additional time, roughly, that a reading of the broker takes while all processes work."""
SLACK_NS = 50_000_000
"""How late a reading of the broker may begin."""
AT_WORK = 0.01
"""An unnamed helper process counts if it ran for this share of the time between two readings."""


@dataclass(frozen=True, slots=True)
class Sample:
    """The total use so far of all processes: CPU seconds, and seconds in the run queue.

    The workers were read at ``at_ns``, the broker and all helpers at ``broker_at_ns``. ``others`` are the
    helper processes that the backend does not name, by pid. ``machine_cpu_s`` is what everybody on the
    machine has used, and ``own_cpu_s`` the process that reads this; both were read with the workers.
    """

    at_ns: int
    workers_cpu_s: Mapping[str, float | None]
    workers_queued_s: Mapping[str, float | None]
    broker_at_ns: int
    broker: Usage | None
    others: Mapping[int, Usage]
    machine_cpu_s: float | None = None
    own_cpu_s: float = 0.0

    @property
    def broker_cpu_s(self) -> float | None:
        """Return the CPU seconds of the broker and the named helpers; None where unknown."""
        return self.broker.cpu_s if self.broker else None

    @property
    def broker_rss_bytes(self) -> int | None:
        """Return the resident memory of the broker and the named helpers; None where unknown."""
        return self.broker.rss_bytes if self.broker else None


@dataclass(frozen=True, slots=True)
class Served:
    """What the broker and all helpers used between two samples; None where unknown. ``helpers`` is the number
    of helpers that the backend did not name."""

    cpu_s: float | None
    queued_s: float | None
    helpers: int


def served(first: Sample, last: Sample, *, named: bool) -> Served:
    """Return what the broker and the helper processes used between two samples.

    Of the unnamed helpers only those count that ran: others, such as the resource tracker of
    ``multiprocessing``, wait all the time. ``named`` says whether there is a broker, or a helper that the
    backend names; without its reading, the unnamed helpers alone prove nothing.
    """
    between_s = (last.broker_at_ns - first.broker_at_ns) / 1e9
    pairs = [(first.others[pid], usage) for pid, usage in last.others.items() if pid in first.others]
    busy = [(a, b) for a, b in pairs if b.cpu_s - a.cpu_s > AT_WORK * between_s]
    helpers = len(busy)
    if first.broker and last.broker:
        busy.append((first.broker, last.broker))
    elif named:
        return Served(None, None, helpers)
    if not busy:
        return Served(None, None, 0)
    queued = [b.queued_s - a.queued_s for a, b in busy if a.queued_s is not None and b.queued_s is not None]
    return Served(
        sum(b.cpu_s - a.cpu_s for a, b in busy), sum(queued) if len(queued) == len(busy) else None, helpers
    )


def others_cores(first: Sample, last: Sample, broker_cores: float | None) -> float | None:
    """Return how many processors were busy on average with what is not of the trial; None where not known.

    ``broker_cores`` is what the broker and the helpers used; None where that is not known, 0 without any.
    """
    seconds = (last.at_ns - first.at_ns) / 1e9
    used = [_more(first.workers_cpu_s[name], cpu) for name, cpu in last.workers_cpu_s.items()]
    used.append(last.own_cpu_s - first.own_cpu_s)
    machine = _more(first.machine_cpu_s, last.machine_cpu_s)
    known = [cpu for cpu in used if cpu is not None]
    if machine is None or broker_cores is None or len(known) < len(used) or not seconds:
        return None
    return max((machine - sum(known)) / seconds - broker_cores, 0.0)


def _more(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before


class Meter:
    """Reads the CPU clocks of the workers, of the backend's helper processes and of the broker.

    The clock of a worker is read within microseconds, that of a broker within tens of milliseconds, so a
    reading of the broker begins ``lead_ns`` before the moment that it is for. If it began at that moment, the
    last reading would include time in which nobody sends any more. The constructor takes one reading.

    ``other_pids`` are processes of the trial that are neither workers nor named by the backend.
    """

    def __init__(
        self,
        pids: Mapping[str, int],
        helper_pids: Collection[int],
        broker: Broker | None,
        other_pids: Collection[int] = (),
    ) -> None:
        self._pids = pids
        self._helper_pids = helper_pids
        self._other_pids = other_pids
        self._broker = broker
        began_ns = now_ns()
        self._read_broker()
        self.lead_ns = int((now_ns() - began_ns) * MARGIN)

    def sample(self, moment_ns: int) -> Sample:
        """Return one reading for this moment; call it ``lead_ns`` before the moment. It returns after it."""
        began_ns = now_ns()
        # An engine may take a second to answer. No reading is better than workers read long after the moment.
        in_time = began_ns + self.lead_ns < moment_ns + SLACK_NS
        broker = self._read_broker() if in_time else None
        others = {pid: usage for pid in self._other_pids if (usage := _used([pid]))}
        broker_at_ns = (began_ns + now_ns()) // 2
        time.sleep(max(moment_ns - now_ns(), 0) / 1e9)
        at_ns = now_ns()
        workers = {name: cpu_s(pid) for name, pid in self._pids.items()}
        queued = {name: queued_s(pid) for name, pid in self._pids.items()}
        machine, own = machine_cpu_s(), time.process_time()
        return Sample(at_ns, workers, queued, broker_at_ns, broker, others, machine, own)

    def _read_broker(self) -> Usage | None:
        if self._broker is not None:
            return self._broker.usage()
        return _used(self._helper_pids)


def _used(pids: Collection[int]) -> Usage | None:
    """Return the total use of these processes; None where there are none, or one is gone."""
    cpu = [seconds for pid in pids if (seconds := cpu_s(pid)) is not None]
    if not cpu or len(cpu) < len(pids):
        return None
    queued = [seconds for pid in pids if (seconds := queued_s(pid)) is not None]
    rss = [size for pid in pids if (size := rss_bytes(pid)) is not None]
    return Usage(sum(cpu), sum(rss), sum(queued) if len(queued) == len(cpu) else None)
