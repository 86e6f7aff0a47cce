"""One measured run: from a frozen spec to a frozen record.

Phases: set up → connect → starting signal → warm-up → measured window → drain → stop → collect → tear down.
Start-up is never inside the window, and statistics come after it. All of it happens in a process of the
trial's own (see ``inside`` and ``outside``), which has no threads, so it may fork.
"""

from __future__ import annotations

import datetime
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import msgspec

from ipclab.backends.base import Site
from ipclab.backends.registry import backend_class
from ipclab.brokers.base import Broker
from ipclab.checks.delivery import Ledger
from ipclab.errors import ChannelError
from ipclab.host import segments
from ipclab.host.clock import now_ns
from ipclab.host.folders import own_temporary_files, trial_folder
from ipclab.host.interruptions import ending_blocked
from ipclab.host.resources import cores, descendants
from ipclab.host.text import line_of
from ipclab.host.told import reraise_own_end
from ipclab.trial import outside, payload_facts, safety, serving, workloads
from ipclab.trial.analysis import Window
from ipclab.trial.check import check
from ipclab.trial.inside import Job
from ipclab.trial.limit import behind_schedule, find_limit
from ipclab.trial.machines import facts as machine_facts
from ipclab.trial.machines.crew import Machines, RemoteCrew
from ipclab.trial.machines.meter import RemoteMeter
from ipclab.trial.measurement import Findings, Measurement, outlast
from ipclab.trial.meter import Meter, Sample, others_cores, served
from ipclab.trial.orders import Done
from ipclab.trial.phases import found, watched
from ipclab.trial.primitive import adapters, name_primitive
from ipclab.trial.processes import Crew
from ipclab.trial.record import Cost, Limit, ProcessCost, TrialRecord, unfinished
from ipclab.trial.spec import TrialSpec

_SLOW = "; it still ran when its time was over, so it is slow and did not hang"


def run_trial(
    spec: TrialSpec,
    *,
    namespace: str,
    broker: Broker | None = None,
    history: Path | None = None,
    machines: Machines | None = None,
) -> TrialRecord:
    """Run one trial and leave nothing behind.

    ``namespace`` is the prefix of every name that is made on the broker; ``history`` is the file in which a
    safety trial keeps its history; ``machines`` are those of its placement. A backend that fails, a worker
    that dies and a hang, also in ``setup()`` or ``teardown()``, are results, stored in the record. The trial
    has a process of its own, which is forked: the calling process should have no other threads. Raise
    UsageError or a subclass where the trial is impossible.
    """
    check(spec)
    site = Site(
        namespace=namespace,
        producers=spec.producers,
        consumers=spec.consumers,
        window=spec.window,
        start_method=spec.start_method,
        url=broker.url if broker else None,
    )
    bare = TrialRecord(
        spec=spec,
        began_utc=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        outcome="failed",
        broker=serving.facts(broker),
    )
    # The next run must find the sockets and semaphores of a trial that is killed.
    own_temporary_files()
    with trial_folder() as folder:
        job = Job(spec=spec, site=site, folder=folder, broker=broker, history=history, machines=machines)
        try:
            return outside.run(job, _play, bare)
        finally:
            # The process of the trial may have been killed before its teardown, and its keeper with it.
            segments.sweep(segments.prefix())


def _play(job: Job) -> TrialRecord:
    """Run the trial, in its own process."""
    spec = job.spec
    workload = workloads.of(spec)
    if workload.scene is not None:
        return safety.run(
            spec,
            workload.scene(),
            workload.face(spec),
            site=job.site,
            folder=job.folder,
            broker=job.broker,
            history=job.history,
        )
    assert workload.measure is not None
    with payload_facts.no_segments_left(spec):
        return _measured(job, workload.measure)


def _measured(job: Job, measure: Callable[[TrialSpec, Site, Path], Measurement]) -> TrialRecord:
    """Run a trial with a measured window."""
    spec = job.spec
    trial = _Trial(spec, job.broker)
    with watched("the constructor"):
        measurement = measure(spec, job.site, job.folder)
    measurement.hold_to(partial(serving.under, broker=job.broker))
    with _set_up(trial, measurement), _crew(job) as crew:
        measurement.keeps_tails, measurement.clocks = crew.keeps_tails, crew.clocks
        if not trial.failed:
            try:
                trial.play(measurement, crew)
            except ChannelError as error:
                trial.failed = str(error)
        crew.collect()
        crew.end()
        record = payload_facts.add(trial.record(measurement, crew), crew)
        if isinstance(crew, RemoteCrew):
            record = machine_facts.add(record, crew, trial.window, job.folder)
        found(record)
    if trial.failed and record.outcome == "finished":
        return unfinished(record, "failed", trial.failed)
    return record if record.outcome == "finished" else unfinished(record, record.outcome, record.reason)


def _crew(job: Job) -> Crew:
    if job.machines is None:
        return Crew(job.spec.start_method)
    return RemoteCrew(job.spec, job.site, job.folder, job.machines)


@contextmanager
def _set_up(trial: _Trial, measurement: Measurement) -> Iterator[None]:
    try:
        try:
            with watched("setup()"):
                measurement.setup()
        except BaseException as error:  # noqa: BLE001 - whatever a backend raises is a result, SystemExit too
            reraise_own_end(error)
            trial.failed = f"setting up {trial.spec.backend}: {line_of(error)}"
        yield
    finally:
        with ending_blocked():
            try:
                with watched("teardown()"):
                    measurement.teardown()
            except BaseException as error:  # noqa: BLE001 - the broker may be gone; the record says so
                reraise_own_end(error)
                trial.failed = trial.failed or f"tearing down {trial.spec.backend}: {line_of(error)}"


def _below() -> frozenset[int]:
    """Return the pids of all processes below the calling one."""
    return frozenset(process.pid for process in descendants(os.getpid()))


class _Trial:
    """The state of one trial while it runs, and its results so far."""

    def __init__(self, spec: TrialSpec, broker: Broker | None) -> None:
        self.spec = spec
        self.broker = broker
        self.began_utc = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        self.failed = ""
        self.hung = ""
        self.slow = False
        """Whether those that ``hung`` is about were still at work, so that they did not hang."""
        self.stuck: dict[str, str] = {}
        self.window: Window | None = None
        self.samples: list[Sample] = []
        self.losses = serving.Losses(broker)
        self.before = _below()
        """Processes from before the trial, such as private servers: none is a helper of the backend."""

    def play(self, measurement: Measurement, crew: Crew) -> None:
        """Run all phases between set-up and tear-down. Stop early when a worker fails or hangs."""
        for assignment in measurement.assignments():
            crew.start(assignment)
        crew.open()
        if self._connect(measurement, crew):
            self._measure(measurement, crew)
        if crew.failures:
            self.failed = crew.failures[0].failure
        elif self.hung and not self.failed:
            self.stuck = crew.stacks()
            own = adapters(backend_class(workloads.face(self.spec), self.spec.backend))
            self.hung += "".join(
                f"; {name}: {name_primitive(stack, own)}" for name, stack in self.stuck.items()
            )
            self.hung += _SLOW if self.slow else ""

    def _meter(self, measurement: Measurement, crew: Crew) -> Meter:
        named = measurement.server_pids()
        if isinstance(crew, RemoteCrew):
            return RemoteMeter(crew, named, self.broker)
        workers = {w.name: w.pid for w in crew.workers}
        return Meter(workers, named, self.broker, _below() - self.before - {*workers.values(), *named})

    def _connect(self, measurement: Measurement, crew: Crew) -> bool:
        within_s = self.spec.grace_s
        if not outlast(measurement, crew, lambda: all(w.ready for w in crew.workers), within_s):
            names = ", ".join(w.name for w in crew.workers if not w.ready)
            self.hung, self.slow = f"{names} did not connect within {within_s:g} s", measurement.slow
        return not self.hung and not crew.failures

    def _measure(self, measurement: Measurement, crew: Crew) -> None:
        meter = self._meter(measurement, crew)
        start_ns = now_ns() + int(crew.lead_s * 1e9)
        window_ns = start_ns + int(self.spec.warmup_s * 1e9)
        moments_ns = (window_ns, window_ns + int(self.spec.duration_s * 1e9))
        self.window = Window(*map(crew.trial_ns, moments_ns))
        window = (self.window.start_ns, self.window.end_ns)
        crew.go(crew.trial_ns(start_ns), self.window.end_ns, window)
        for moment_ns in moments_ns:
            while (left_ns := moment_ns - meter.lead_ns - now_ns()) > 0 and not crew.failures:
                crew.listen(left_ns / 1e9)
            if crew.failures:
                return
            self.samples.append(meter.sample(moment_ns))
        leaders = crew.by_role(*measurement.leaders)
        outlast(measurement, crew, lambda: all(w.settled for w in leaders), self.spec.grace_s)
        late = [w for w in leaders if not w.settled]
        crew.listen(0)
        if early := [w for w in crew.workers if w.done and w.role not in measurement.leaders]:
            # The other workers took over its work: the measured shape is not the one that was asked for.
            self.failed = (
                f"{early[0].name} ended before it was told to, as if by a stop message of another trial"
            )
            return
        if late:
            if not crew.failures:
                names = ", ".join(w.name for w in late)
                self.hung = (
                    f"{names} did not return from the backend within {self.spec.grace_s:g} s after the end"
                )
                self.slow = measurement.slow
            return
        if not crew.failures:
            measurement.wind_up(crew)
            self.hung, self.slow = measurement.hang, measurement.slow

    def record(self, measurement: Measurement, crew: Crew) -> TrialRecord:
        """Return the record; it reads the logs, so they must still exist."""
        dropped = self.losses.so_far()
        if (own := measurement.own_guarantees()) is not None:
            measurement.drops = self.losses.drops(own, under_way=self._most_under_way())
        of_ours = dropped if measurement.drops is None or measurement.drops.most_lost != 0 else {}
        measurement.hold_to(partial(serving.under, broker=self.broker, dropped=of_ours))
        reason = self.failed or self.hung
        bare = TrialRecord(
            spec=self.spec,
            began_utc=self.began_utc,
            outcome="finished" if not reason else "failed" if self.failed or self.slow else "hung",
            reason=reason,
            stuck=self.stuck,
            options=dict(measurement.options),
            guarantees=measurement.declared(),
            broker=serving.facts(self.broker),
            dropped=dropped,
        )
        if self.window is None:
            return bare
        findings = measurement.findings(crew, self.window, complete=bare.outcome == "finished")
        cost = self._cost(measurement, crew, findings.ledger)
        return msgspec.structs.replace(
            bare,
            window_s=self.window.seconds,
            rate_per_s=findings.count / self.window.seconds,
            received_per_s=findings.received / self.window.seconds,
            ledger=findings.ledger,
            drops_excuse=self.losses.excuse(findings.ledger.attempted) if findings.ledger else None,
            counter=findings.counter,
            latency=findings.latency,
            work=findings.work,
            cost=cost,
            limit=self._limit(cost, findings) if cost else "unknown",
        )

    def _most_under_way(self) -> int | None:
        """Return how many messages the trial has under way at once at most; None where it has no bound."""
        if not workloads.of(self.spec).bounded:
            return None
        return self.spec.backlog + self.spec.producers * self.spec.window

    def _cost(self, measurement: Measurement, crew: Crew, ledger: Ledger | None) -> Cost | None:
        if len(self.samples) < 2:
            return None
        first, last = self.samples
        workers = []
        for member in crew.workers:
            name, peak = member.name, member.done.peak_rss_bytes if member.done else None
            workers.append(
                ProcessCost(
                    name=name,
                    cpu_s=_difference(first.workers_cpu_s[name], last.workers_cpu_s[name]),
                    queued_s=_difference(first.workers_queued_s[name], last.workers_queued_s[name]),
                    peak_rss_bytes=peak,
                )
            )
        broker_interval_s = (last.broker_at_ns - first.broker_at_ns) / 1e9
        named = bool(self.broker or measurement.server_pids())
        found = served(first, last, named=named)
        in_time = self._read_in_time(last, broker_interval_s)
        served_cores = _share(found.cpu_s if in_time else None, broker_interval_s)
        return Cost(
            interval_s=(last.at_ns - first.at_ns) / 1e9,
            workers=workers,
            broker_interval_s=broker_interval_s,
            broker_cpu_s=found.cpu_s if in_time else None,
            broker_queued_s=found.queued_s if in_time else None,
            helpers=found.helpers,
            broker_rss_bytes=last.broker_rss_bytes,
            stalled_s=sum(w.done.stalled_s for w in crew.workers if w.done),
            beyond_backlog=_beyond_backlog([w.done for w in crew.workers if w.done], ledger),
            cores=cores(),
            wanted_cores=measurement.cores_wanted + found.helpers + (1 if named else 0),
            others_cores=others_cores(first, last, served_cores if named or found.helpers else 0.0),
        )

    def _read_in_time(self, last: Sample, broker_interval_s: float) -> bool:
        """Return whether the broker was read while it worked: an engine may take a second to answer."""
        assert self.window is not None
        late_s = (last.broker_at_ns - self.window.end_ns) / 1e9
        return late_s < self.window.seconds / 10 and broker_interval_s > self.window.seconds / 2

    def _limit(self, cost: Cost, findings: Findings) -> Limit:
        return find_limit(
            {w.name: w.cpu_s / cost.interval_s for w in cost.workers if w.cpu_s is not None},
            {w.name: w.queued_s / cost.interval_s for w in cost.workers if w.queued_s is not None},
            _share(cost.broker_cpu_s, cost.broker_interval_s),
            broker_queued=_share(cost.broker_queued_s, cost.broker_interval_s),
            stalled=cost.stalled_s / (self.spec.warmup_s + self.spec.duration_s) / self.spec.producers,
            paced=workloads.of(self.spec).open_loop and not behind_schedule(findings.latency),
            cores=cost.cores,
            working=findings.work.utilisation if findings.work else 0.0,
        )


def _beyond_backlog(done: Sequence[Done], ledger: Ledger | None) -> int:
    """Return the largest number of messages beyond the bound that may have been in flight at once.

    Producers share the backlog, so each one assumes the same messages to be lost. Messages that were indeed
    lost were no longer in flight.
    """
    overtaken = max((one.overtaken for one in done), default=0)
    not_lost = max(overtaken - (ledger.lost if ledger else 0), 0)
    return not_lost + sum(one.probes for one in done)


def _share(cpu_s: float | None, interval_s: float | None) -> float | None:
    return None if cpu_s is None or not interval_s else cpu_s / interval_s


def _difference(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
