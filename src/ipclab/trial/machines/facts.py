"""What the record of a trial on several machines says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt

from ipclab.hosts import clock_bound
from ipclab.hosts.clock_bound import Withheld
from ipclab.hosts.host import Facts
from ipclab.hosts.placement import Placement
from ipclab.trial import rawlog
from ipclab.trial.analysis import Window
from ipclab.trial.limit import find_limit
from ipclab.trial.machines.clocks import UNBOUNDED_NS, Clocks
from ipclab.trial.machines.crew import RemoteCrew
from ipclab.trial.machines.words import Sampled
from ipclab.trial.record import Latency, Machine, Machines, TrialRecord


def add(record: TrialRecord, crew: RemoteCrew, window: Window | None, logs: Path) -> TrialRecord:
    """Return the record with what is known of its machines; withhold the latencies that mean nothing.

    The crew has collected the logs.
    """
    spec = record.spec
    found = Machines(
        reference=crew.clocks.reference,
        machines=[_machine(number, crew, paced=spec.rate_per_s is not None) for number in sorted(crew.hosts)],
        mirror_age_ns=crew.mirror_age_ns,
    )
    if window is not None and crew.collected:
        bound_ns = largest_bound_ns(crew.clocks, spec.placement, window, spec.warmup_s)
        reason = why_withheld(record.latency, bound_ns, crew.clocks)
        if reason is not None:
            record = without_one_way(record)
        found = msgspec.structs.replace(
            found,
            bound_ns=None if bound_ns >= UNBOUNDED_NS else bound_ns,
            withheld=reason,
            overshoot=overshoot(logs, crew) if not spec.rate_per_s else 0,
        )
    cost = record.cost
    if cost is not None:
        facts = [host.facts for host in crew.hosts.values() if host.facts is not None]
        cost = msgspec.structs.replace(cost, cores=all_cores(facts))
    return msgspec.structs.replace(record, machines=found, cost=cost)


def all_cores(facts: Sequence[Facts]) -> int:
    """Return the processors of all machines; several that are one system count once."""
    by_system: dict[str, int] = {}
    for one in facts:
        system = one.clock.partition(" ")[0]
        by_system[system] = max(by_system.get(system, 0), one.cores)
    return sum(by_system.values())


def largest_bound_ns(clocks: Clocks, placement: Placement, window: Window, warmup_s: float) -> int:
    """Return the largest error of a latency of this placement; 0 where all of it is on one clock."""
    from_ns = window.start_ns - int(warmup_s * 1e9)
    pairs = {(p, c) for p in placement["producer"] for c in placement["consumer"]}
    return max(clocks.bound_ns(p, c, from_ns, window.end_ns) for p, c in pairs)


def why_withheld(latency: Latency, bound_ns: int, clocks: Clocks) -> Withheld | None:
    """Return why latencies from one machine to another are withheld; None where they are shown."""
    if latency.end_to_end is None or not bound_ns:
        return None
    if bound_ns >= UNBOUNDED_NS:
        return next(reason for number in clocks.others() if (reason := clocks.reason(number)))
    return clock_bound.too_wide(bound_ns, latency.end_to_end.p50_ns or 0)


def without_one_way(record: TrialRecord) -> TrialRecord:
    """Return the record without every latency that is a difference of the readings of two clocks."""
    latency = msgspec.structs.replace(record.latency, end_to_end=None, service=None)
    work = None if record.work is None else msgspec.structs.replace(record.work, receipt=None)
    return msgspec.structs.replace(record, latency=latency, work=work)


def overshoot(logs: Path, crew: RemoteCrew) -> int:
    """Return how many messages beyond the bound may have been under way, by the age of the progress.

    A producer knows at once what those of its machine have sent. It knows of the others what they had sent
    before. The logs have the times of the trial.
    """
    age_ns = crew.mirror_age_ns
    sends = {path.stem: rawlog.read_stamps(path) for path in sorted(logs.glob("producer-*.sends"))}
    machines = {name: crew.machine_of(name) for name in sends}
    others = [
        [times for name, times in sends.items() if machines[name] != here]
        for here in dict.fromkeys(machines.values())
    ]
    return max((most_within(np.concatenate(times), age_ns) for times in others if times), default=0)


def most_within(times_ns: npt.NDArray[np.int64], span_ns: int) -> int:
    """Return the largest number of these times that lie within one span."""
    if not len(times_ns):
        return 0
    ordered = np.sort(times_ns)
    ends = np.searchsorted(ordered, ordered + span_ns, side="right")
    return int((ends - np.arange(len(ordered))).max())


def _machine(number: int, crew: RemoteCrew, *, paced: bool) -> Machine:
    facts = crew.hosts[number].facts
    mine = [worker.name for worker in crew.workers if crew.machine_of(worker.name) == number]
    bare = Machine(
        number=number,
        workers=mine,
        python=facts.python if facts else "",
        cores=facts.cores if facts else 0,
        clock=crew.clocks.known(number),
    )
    readings = [found[number] for found in crew.readings if number in found]
    return bare if len(readings) < 2 else _with_cost(bare, readings, paced=paced)


def _with_cost(bare: Machine, readings: Sequence[Sampled], *, paced: bool) -> Machine:
    first, last = readings
    seconds = (last.at_ns - first.at_ns) / 1e9
    cpu = _more(first.cpu_s, last.cpu_s)
    queued = _more(first.queued_s, last.queued_s)
    whole = sum(cpu.values()) if len(cpu) == len(bare.workers) else None
    others = None
    if whole is not None and first.machine_cpu_s is not None and last.machine_cpu_s is not None:
        ours_s = whole + last.own_cpu_s - first.own_cpu_s
        others = max((last.machine_cpu_s - first.machine_cpu_s - ours_s) / seconds, 0.0)
    limit = find_limit(
        {name: one / seconds for name, one in cpu.items()},
        {name: one / seconds for name, one in queued.items()},
        None,
        stalled=0.0,
        paced=paced,
        cores=bare.cores,
    )
    return msgspec.structs.replace(bare, interval_s=seconds, cpu_s=whole, others_cores=others, limit=limit)


def _more(first: Mapping[str, float | None], last: Mapping[str, float | None]) -> dict[str, float]:
    return {
        name: after - before
        for name, after in last.items()
        if after is not None and (before := first.get(name)) is not None
    }
