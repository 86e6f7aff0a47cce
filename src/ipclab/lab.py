"""Runs an experiment: gathers the brokers, runs the trials interleaved, stores every finished one.

The only module that knows experiments, brokers, trials and results at once. Prints nothing: an ``Observer``
receives the events.
"""

from __future__ import annotations

import datetime
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import msgspec

from ipclab import brokers, environment, readiness
from ipclab.backends.base import BrokerKind
from ipclab.backends.plugins import package_of
from ipclab.backends.registry import backend_class
from ipclab.brokers import Broker, Fleet, ProviderName, kinds, marks, url
from ipclab.course import Course
from ipclab.errors import BrokerUnavailableError
from ipclab.experiment import Experiment, Plan, Request, faces
from ipclab.host import clock, folders, needs
from ipclab.host.interruptions import ending_blocked
from ipclab.host.text import clean
from ipclab.report import markdown
from ipclab.results.result import SCHEMA_VERSION, Result, Unavailable
from ipclab.results.store import Store, StoredRun
from ipclab.trial import serving, workloads
from ipclab.trial.clean import cleaned, cleaned_broker
from ipclab.trial.machines import preflight
from ipclab.trial.machines.crew import Machines
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec


class Observer(Protocol):
    """Receives the progress of a run. Called in the lab's own process, never while a window is measured."""

    def note(self, line: str) -> None:
        """Receive a message worth a line: a broker is started, a backend is left out."""

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None:
        """Receive the start of trial ``number`` of ``total``; the rest takes about ``seconds_left``."""

    def finished(self, record: TrialRecord) -> None:
        """Receive the record of a trial that has ended and is stored."""


class _Silent(Observer):
    """Tells nobody."""

    def note(self, line: str) -> None:
        pass

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None:
        pass

    def finished(self, record: TrialRecord) -> None:
        pass


@dataclass(slots=True)
class Outcome:
    """The outcome of a run: the result, where it is stored, and a broker that was lost meanwhile, if any."""

    result: Result
    folder: Path
    lost_brokers: dict[BrokerKind, str] = field(default_factory=dict)


def broker_of(spec: TrialSpec) -> BrokerKind | None:
    """Return the kind of broker that this trial needs."""
    return backend_class(workloads.face(spec), spec.backend).broker


@url.kept_from_children()
def run(
    experiment: Experiment,
    request: Request,
    *,
    store: Store,
    observer: Observer | None = None,
    provider: ProviderName | None = None,
    install: bool | None = None,
    may_evict: bool = False,
    options: Mapping[str, str] | None = None,
    machines: Machines | None = None,
) -> Outcome:
    """Run an experiment and store its result, trial by trial.

    Raise UsageError or a subclass before anything is started, ResultsError where the store cannot be written,
    BrokerUnavailableError where a broker is unavailable that the user asked for by a backend's name, by a URL
    or by a provider, ClockError where latencies cannot be measured. On KeyboardInterrupt the brokers that
    were started are ended, the stored result stays marked partial, and the exception is raised again.

    ``machines`` are those that the placement of the request numbers. ``may_evict`` allows a run to fill a
    user's own server until it drops items; without it such a run raises UsageError.
    """
    observer = observer or _Silent()
    request = request.with_prefetch()
    plan = experiment.plan(request)
    needs.require()
    store.check()
    folders.own_temporary_files()
    folders.sweep()
    facts = preflight.require(machines) if machines is not None else {}
    start_method = plan.trials[0].start_method
    began = _now()
    clock_test = clock.self_test(start_method)
    wanted = sorted({kind for spec in plan.trials if (kind := broker_of(spec))})
    struck = {kind for spec in plan.trials if (kind := broker_of(spec)) and is_hard_on_its_broker(spec)}
    with brokers.acquire(
        wanted, provider=provider, install=install, on_event=observer.note, exclusive=struck
    ) as fleet:
        asked = {backend_class(face, v).broker for v in request.backends for face in faces(v)}
        for kind, reason in fleet.missing.items():
            if kind in asked or provider is not None:
                raise BrokerUnavailableError(reason)
        for broker in fleet.brokers.values():
            preflight.refuse_loopback(broker.kind, broker.url, facts)
        # Before the servers are checked: what killed runs left may be what makes a server too full.
        for broker in fleet.brokers.values():
            for removed in marks.sweep(broker.kind, broker.url) if broker.outlives_run else ():
                observer.note(str(removed))
        plan, refused = readiness.prepare(plan, fleet, set(map(str, request.backends)), may_evict=may_evict)
        result = Result(
            ipclab_result=SCHEMA_VERSION,
            experiment=experiment.name,
            question=experiment.question,
            began_utc=began,
            ended_utc=began,
            complete=False,
            options=dict(options or {}),
            environment=environment.describe(start_method, clock_test, _distributions(plan)),
            brokers=[
                cleaned_broker(f)
                for broker in fleet.brokers.values()
                if (f := serving.facts(broker, settings=True))
            ],
            unavailable=_cleaned([*_unavailable(plan, fleet), *refused]),
            trials=[],
        )
        return _Run(fleet, store, observer, result, machines).carry_out(plan)


class _Run:
    def __init__(
        self,
        fleet: Fleet,
        store: Store,
        observer: Observer,
        result: Result,
        machines: Machines | None,
    ) -> None:
        self._machines = machines
        self._fleet = fleet
        self._store = store
        self._observer = observer
        self._result = result
        self._id = f"{secrets.token_hex(4)}-{os.getpid()}"
        self._marks = {
            kind: marks.Marks(broker, f"ipclab:{self._id}", result.began_utc)
            for kind, broker in fleet.brokers.items()
            if broker.outlives_run
        }
        self._lost: dict[BrokerKind, str] = {}
        self._trials: list[TrialRecord] = []
        self._ended = result.began_utc
        self._stored: StoredRun

    def carry_out(self, plan: Plan) -> Outcome:
        trials = [s for s in plan.trials if (kind := broker_of(s)) is None or kind in self._fleet.brokers]
        self._stored = self._store.begin(self._result)
        try:
            self._play(plan.course(trials))
        except BaseException:
            with ending_blocked():
                self._clean()
                self._stored.save(self._so_far())
                many = len(self._trials)
                self._observer.note(
                    f"partial: {many} finished trial{'s' * (many != 1)} kept in {self._stored.folder}"
                )
            raise
        self._clean()
        self._result = msgspec.structs.replace(self._so_far(), complete=not self._lost, ended_utc=_now())
        self._stored.finish(self._result, markdown.render(self._result))
        return Outcome(self._result, self._stored.folder, self._lost)

    def _play(self, course: Course) -> None:
        number = 0
        while (spec := course.next()) is not None:
            kind = broker_of(spec)
            if kind in self._lost:
                course.skip()
                continue
            coming = course.coming()
            self._observer.starting(number + 1, number + len(coming), spec, sum(map(_estimate_s, coming)))
            broker = self._fleet.brokers[kind] if kind else None
            mark = self._marks.get(kind) if kind else None
            if mark is not None:
                mark.begin(number)
            began_ns = clock.now_ns()
            record = run_trial(
                spec,
                namespace=f"ipclab:{self._id}:{number}",
                broker=broker,
                history=self._stored.history(number) if workloads.of(spec).keeps_history else None,
                machines=self._machines,
            )
            if mark is not None and record.outcome == "finished":
                mark.cleaned(number)
            course.tell(record, (clock.now_ns() - began_ns) / 1e9)
            number += 1
            self._keep(record)
            if broker is not None and record.outcome != "finished" and not broker.alive():
                self._lose(broker, record, course.coming())

    def _clean(self) -> None:
        """Remove what unfinished trials have left on servers that outlive the run, or report what remains."""
        for kind, mark in self._marks.items():
            if mark.left and (problem := mark.clean(self._fleet.brokers[kind].url)):
                self._observer.note(problem)

    def _keep(self, record: TrialRecord) -> None:
        self._ended = _now()
        record = cleaned(record)
        self._stored.append(len(self._trials), record, self._ended)
        self._trials.append(record)
        self._observer.finished(record)

    def _so_far(self) -> Result:
        return msgspec.structs.replace(self._result, trials=self._trials, ended_utc=self._ended)

    def _lose(self, broker: Broker, record: TrialRecord, later: Sequence[TrialSpec]) -> None:
        reason = f"{broker.kind} at {broker.masked_url} went away during {record.spec.backend}"
        self._lost[broker.kind] = reason
        measured = {str(done.spec.backend) for done in self._trials}
        gone = {str(s.backend) for s in later if broker_of(s) == broker.kind} - measured
        unavailable = [Unavailable(backend=name, reason=reason) for name in sorted(gone)]
        self._result = msgspec.structs.replace(
            self._result, unavailable=[*self._result.unavailable, *unavailable]
        )
        self._stored.save(self._result)
        self._observer.note(reason)


def is_hard_on_its_broker(spec: TrialSpec) -> bool:
    """Return whether this trial breaks its broker, or changes its settings, for all who use it."""
    if workloads.of(spec) is workloads.CLIENT:
        from ipclab.trial.client import SCENARIOS
        from ipclab.trial.client.scenario import HARD_ON_SERVER

        return spec.scenario in SCENARIOS and SCENARIOS[spec.scenario].needs in HARD_ON_SERVER
    on_broker = spec.fault is not None and (spec.fault.target == "broker" or spec.fault.effect == "fills")
    struck = spec.task_fault is not None and spec.task_fault.target == "broker"
    return on_broker or struck or bool(spec.broker_settings)


def _unavailable(plan: Plan, fleet: Fleet) -> list[Unavailable]:
    missing = {
        str(spec.backend): fleet.missing[kind]
        for spec in plan.trials
        if (kind := broker_of(spec)) in fleet.missing
    }
    pairs = [*plan.left_out, *missing.items()]
    return [Unavailable(backend=backend, reason=reason) for backend, reason in pairs]


def _cleaned(gone: list[Unavailable]) -> list[Unavailable]:
    return [msgspec.structs.replace(one, reason=clean(one.reason)) for one in gone]


_CELL_S = 2.0
_TASKS_S = 6.0


def _distributions(plan: Plan) -> list[str]:
    """Return the client libraries and the packages of all backends of the plan."""
    classes = {backend_class(workloads.face(spec), spec.backend) for spec in plan.trials}
    return [name for found in classes for name in (*found.libraries, *package_of(found))]


def _estimate_s(spec: TrialSpec) -> float:
    if spec.fault is not None:
        broker_ends = spec.fault.ends_broker
        kind = broker_of(spec)
        return max(_CELL_S, kinds.get(kind).starts_again_s) if broker_ends and kind else _CELL_S
    if workloads.of(spec) is workloads.TASKS:
        return _TASKS_S + (spec.duration_s if spec.task_fault is None else 0.0)
    return spec.warmup_s + spec.duration_s + 0.3


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
