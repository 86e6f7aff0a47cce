"""The definition of an experiment: a question, and the trials that answer it.

Each experiment is one file in ``experiments/``, with a function ``trials(request, repeat)`` that yields the
trials of one repeat, and a constant ``EXPERIMENT``. It contains no processes, clocks or tables: those are the
lab's.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple, get_args

import msgspec

from ipclab.backends import prefetch
from ipclab.backends.base import Channel, Face, SharedState
from ipclab.backends.registry import (
    Variant,
    backend_class,
    backend_names,
    broken_plugins,
    is_known,
    is_own,
    refuse_broken,
    shared_class,
)
from ipclab.backends.tasks.base import TaskQueue
from ipclab.course import Course, InOrder
from ipclab.errors import MessageTooLargeError, UnknownNameError, UsageError
from ipclab.faults.spec import Target
from ipclab.host import start_methods as startmethod
from ipclab.host.start_methods import StartMethod
from ipclab.payload.asked import Payload
from ipclab.payload.sizes import Size, Sizes
from ipclab.trial import payloads, workloads
from ipclab.trial.check import check
from ipclab.trial.spec import Leg, TrialSpec
from ipclab.trial.study import Slo
from ipclab.trial.task_facts import TaskTarget
from ipclab.trial.workload import Option

DEFAULT = "comparison"
_FACES: tuple[Face, ...] = get_args(Face)
STANDARD_CHANNELS = (
    "manager-dict",
    "manager-list",
    "manager-queue",
    "queue",
    "joinable-queue",
    "simple-queue",
    "pipe",
    "pipe-locked",
    "socketpair",
    "shm-ring",
    "listener-unix",
    "listener-tcp",
    "sqlite",
    "redis-pubsub",
    "redis-list",
    "redis-list-reliable",
    "redis-stream",
    "rabbitmq:ack=auto,confirm=none,delivery=transient",
    "rabbitmq:ack=manual,confirm=none,delivery=transient",
    "rabbitmq:ack=manual,confirm=publisher,delivery=transient",
    "rabbitmq:ack=manual,confirm=publisher,delivery=persistent",
    "rabbitmq-quorum",
    "rabbitmq-stream",
    "rabbitmq-stream:offset=first",
    "memcached-ticket",
)
"""The channels that every installation has, in the modes that differ in their guarantees."""
UNSAFE_CHANNELS = ("shm-ring-naive",)
"""The channels that declare themselves unsafe: measured only where they are named, because what they
lose makes every trial long."""
MORE_CHANNELS = (
    "nats",
    "nats:confirm=none",
    "nats-jetstream",
    "nats-jetstream:storage=memory",
    "postgres-queue",
    "postgres-queue:synchronous_commit=off",
    "mqtt:qos=0",
    "mqtt:qos=1",
    "mqtt:qos=2",
    "zmq",
    "zmq:transport=tcp",
)
"""The channels that need an extra, likewise: measured too where the extra is installed."""


class _Option(NamedTuple):
    """An option of ``ipclab run`` that not every workload uses. Where no workload of a run uses it: what the
    experiment lacks, and the experiment to use instead."""

    flag: str
    lack: str
    instead: str


_OPTIONS: Mapping[Option, _Option] = {
    "producers": _Option("--producers", "has no producers to choose", "throughput"),
    "consumers": _Option("--consumers", "has no consumers to choose", "throughput"),
    "window": _Option("--window", "has no window", "throughput"),
    "size_bytes": _Option("--size", "has no message size to choose", "throughput"),
    "payload": _Option("--payload", "sends messages of its own", "throughput"),
    "codec": _Option("--codec", "sends messages of its own", "throughput"),
    "duration_s": _Option("--duration", "has no length to choose", "throughput"),
    "warmup_s": _Option("--warmup", "has no warm-up", "throughput"),
    "rate_per_s": _Option("--rate", "sends nothing at a given rate", "latency"),
    "arrivals": _Option("--arrivals", "sends nothing at a given rate", "latency"),
    "legs": _Option("--variable-rate", "sends nothing at a given rate", "latency"),
    "slo": _Option("--slo", "judges by no limit on latency", "capacity"),
    "faults": _Option("--fault", "has no faults", "crash"),
    "targets": _Option("--target", "has no faults", "crash"),
    "work": _Option("--work", "has no work to do", "jobs"),
    "work_fail_share": _Option("--work-fail", "has no work that could fail", "jobs"),
}
"""By their names in a request. The workloads say which of them use an option."""
_SETTINGS: frozenset[Option] = frozenset(name for name in _OPTIONS if name in TrialSpec.__struct_fields__)
"""The options that are settings of a trial; the others choose among trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What the user asked for. None, or empty, leaves the choice to the experiment.

    ``size_bytes`` may be a range of sizes, or several sizes, each of which is measured by itself.
    ``placement`` has the numbers of the machines for producers and consumers, see ``TrialSpec``.
    ``every_repeat`` asks an experiment that repeats some trials less often to have them in every repeat.
    """

    backends: tuple[Variant, ...] = ()
    producers: int | None = None
    consumers: int | None = None
    size_bytes: Size | Sizes | None = None
    payload: Payload | None = None
    codec: str | None = None
    rate_per_s: float | None = None
    arrivals: str | None = None
    legs: tuple[Leg, ...] = ()
    slo: Slo | None = None
    duration_s: float | None = None
    warmup_s: float | None = None
    repeats: int | None = None
    window: int | None = None
    start_method: StartMethod | None = None
    seed: int = 1
    faults: tuple[str, ...] = ()
    targets: tuple[Target | TaskTarget, ...] = ()
    every_repeat: bool = False
    work: str | None = None
    work_fail_share: float | None = None
    prefetch: int | None = None
    placement: Mapping[str, Sequence[int]] = field(default_factory=dict)

    def channels(self) -> list[Variant]:
        """Return the channels to measure: those asked for, else the standard ones and all of other packages.

        Raise UnknownNameError for a name that is no backend.
        """
        if self.backends:
            return [variant for variant in self.known() if "channel" in faces(variant)]
        names = backend_names("channel")
        standard = [Variant.parse(text) for text in STANDARD_CHANNELS + MORE_CHANNELS]
        standard = [variant for variant in standard if variant.name in names]
        standard += [Variant(name) for name in names if not is_own(name)]
        return [prefetch.chosen(variant, self.prefetch) or variant for variant in standard]

    def with_prefetch(self) -> Request:
        """Return the request with ``prefetch`` as an option of each backend that was asked for by name.

        Raise UsageError where one of these has no prefetch to choose.
        """
        if self.prefetch is None or not self.backends:
            return self
        backends = [prefetch.require(variant, self.prefetch) for variant in self.known()]
        return replace(self, backends=tuple(backends), prefetch=None)

    def counters(self) -> list[Variant]:
        """Return the counters to measure, each under the discipline asked for or under all its disciplines.

        Raise UnknownNameError for a name that is no backend.
        """
        return self._shared("counter")

    def registers(self) -> list[Variant]:
        """Return the registers to race for, like ``counters()``."""
        return self._shared("register")

    def mutexes(self) -> list[Variant]:
        """Return the locks to race for, like ``counters()``."""
        return self._shared("lock")

    def task_queues(self) -> list[Variant]:
        """Return the task queues that were asked for. Raise UnknownNameError for an unknown name."""
        return [variant for variant in self.known() if "task" in faces(variant)]

    def known(self) -> tuple[Variant, ...]:
        """Return the backends that were asked for. Raise UnknownNameError for a name that is no backend."""
        for variant in self.backends:
            if not any(is_known(face, variant.name) for face in _FACES):
                refuse_broken(variant.name)
                known = {name for face in _FACES for name in backend_names(face)}
                raise UnknownNameError("backend", variant.name, known)
        return self.backends

    def trial(self, **settings: Any) -> TrialSpec:
        """Return a trial with these settings, overridden by what the user asked for. Not checked yet.

        The request has one size at most: see ``each_size()``.
        """
        workload = workloads.named(settings["workload"])
        asked: dict[str, Any] = {
            name: value
            for name in _SETTINGS
            if name in workload.options and (value := getattr(self, name)) not in (None, ())
        }
        if "payload" in workload.options:
            asked |= payloads.settings(self.payload, self.codec, self.size_bytes, settings)
        if "legs" in asked:
            asked |= self._varying()
        start_method = self.start_method or startmethod.default()
        placement = {role: list(numbers) for role, numbers in self.placement.items()}
        default: dict[str, Any] = {
            "start_method": start_method,
            "seed": self.seed,
            "placement": placement,
        }
        return TrialSpec(**(default | settings | asked))

    def each_size(self) -> list[Request]:
        """Return this request once for each of its sizes. Raise UsageError where two options give some."""
        sizes = payloads.sizes(self.payload, self.size_bytes)
        return [replace(self, size_bytes=size) for size in sizes] if sizes else [self]

    def _varying(self) -> dict[str, Any]:
        """Return the settings of a trial whose rate varies. Raise UsageError where others contradict them."""
        for name, flag in (("rate_per_s", "--rate"), ("duration_s", "--duration")):
            if getattr(self, name) is not None:
                raise UsageError(f"--variable-rate has its own rates and times: leave out {flag}")
        seconds = sum(leg.seconds for leg in self.legs)
        messages = sum(leg.rate_per_s * leg.seconds for leg in self.legs)
        return {"legs": list(self.legs), "rate_per_s": messages / seconds, "duration_s": seconds}

    def _shared(self, face: Face) -> list[Variant]:
        wanted = self.known() if self.backends else [Variant(name) for name in backend_names(face)]
        return [spread for v in wanted if face in faces(v) for spread in _disciplines(v, face)]


def faces(variant: Variant) -> list[Face]:
    """Return the faces of this backend: channel, counter, register, lock, task.

    Options and disciplines that only some faces have decide which is meant. Empty for a name that is no
    backend. Raise UnknownNameError for an option that no face has, UsageError where each has only some of
    them.
    """
    found: dict[Face, type[Channel] | type[SharedState] | type[TaskQueue]] = {
        face: backend_class(face, Variant(variant.name)) for face in _FACES if is_known(face, variant.name)
    }
    if len(found) == 1:
        return list(found)
    known = {face: {option.name for option in backend.options} for face, backend in found.items()}
    fitting = [face for face, options in known.items() if variant.options.keys() <= options]
    if found and not fitting:
        every = set().union(*known.values())
        for option in variant.options.keys() - every:
            raise UnknownNameError(f"option of {variant.name}", option, every)
        what = " and of ".join(f"a {face}" for face in found)
        raise UsageError(f"{variant}: these are options of {what}; use those of one of them only")
    choosing = [face for face in fitting if _is_choice(variant, found[face])]
    # Where no face has the chosen options, the error names the options of the first face.
    return choosing or fitting[:1]


def _is_choice(variant: Variant, backend: type[Channel] | type[SharedState] | type[TaskQueue]) -> bool:
    """Return whether the options have these values, where they are a choice."""
    choices = {option.name: option.choices for option in backend.options}
    return all(not choices[name] or value in choices[name] for name, value in variant.options.items())


def _disciplines(variant: Variant, face: Face) -> list[Variant]:
    shared = shared_class(face, variant)
    if "discipline" in variant.options:
        return [variant]
    return [Variant(variant.name, {**variant.options, "discipline": d}) for d in shared.disciplines()]


_Refused = tuple[TrialSpec, UsageError | MessageTooLargeError]


@dataclass(frozen=True, slots=True)
class Plan:
    """The trials of a run in their order, and what was left out as impossible: backend and reason.

    ``course`` makes the course of the run from the trials that are possible. Where it is adaptive, ``trials``
    are those that it begins with, one or more for each backend.
    """

    trials: list[TrialSpec]
    left_out: list[tuple[str, str]]
    course: Callable[[Sequence[TrialSpec]], Course] = InOrder


@dataclass(frozen=True, slots=True)
class Experiment:
    """A question and its trials.

    ``trials(request, repeat)`` yields the trials of one repeat. The lab runs the repeats one after the other,
    so that backends are interleaved (A B C A B C …) and a slow minute of the machine affects all of them.
    With ``course``, these trials are only the first ones: ``course(request, trials)`` chooses the others.
    """

    name: str
    question: str
    trials: Callable[[Request, int], Iterable[TrialSpec]]
    repeats: int
    course: Callable[[Request, Sequence[TrialSpec]], Course] | None = None

    def plan(self, request: Request) -> Plan:
        """Return all trials of a run.

        Trials of a sweep that are impossible for a backend (a shape, a size) are left out and listed. Raise
        UsageError or a subclass where a backend that was asked for by name can do none of them, where no
        trial is left, or where no trial uses an option that was given: it would be stored with the result as
        if in force.
        """
        request = request.with_prefetch()
        trials: list[TrialSpec] = []
        refused: list[_Refused] = []
        for repeat in range(request.repeats or self.repeats):
            # A user's option that fixes one dimension of a sweep makes some of its trials the same.
            each = (spec for one in request.each_size() for spec in self.trials(one, repeat))
            for spec in {repr(spec): spec for spec in each}.values():
                try:
                    check(spec)
                except UnknownNameError:
                    raise
                except (UsageError, MessageTooLargeError) as error:
                    refused.append((spec, error))
                else:
                    trials.append(msgspec.structs.replace(spec, repeat=repeat))
        # Forcing a race takes two processes, whatever was asked for; the given number is that of the load.
        possible = {str(spec.backend) for spec in trials if not workloads.of(spec).beside}
        asked = {str(variant) for variant in request.backends}
        for spec, refusal in refused:
            if str(spec.backend) in asked - possible or not possible:
                raise refusal
        measured = {spec.backend.name for spec in trials}
        if idle := [str(variant) for variant in request.backends if variant.name not in measured]:
            said = f"the experiment {self.name} has nothing to measure on {', '.join(idle)}"
            if akin := self._akin(request, idle):
                said += f"; it measures {', '.join(akin)}: name one of these"
            if queues := [name for name in idle if faces(Variant.parse(name)) == ["task"]]:
                said += f"; a task queue is measured by: ipclab run tasks -b {queues[0]}"
            raise UsageError(said)
        if not trials:
            raise UsageError(f"the experiment {self.name} has no trials with these options")
        self._check_uses(request, trials, refused)
        left_out = dict.fromkeys((str(spec.backend), str(refusal)) for spec, refusal in refused)
        if not request.backends:
            left_out |= {(plugin.name, plugin.sentence): None for plugin in broken_plugins()}
        course = partial(self.course, request) if self.course is not None else InOrder
        return Plan(trials, list(left_out), course)

    def _akin(self, request: Request, idle: Iterable[str]) -> list[str]:
        """Return the backends that this experiment measures and whose names begin like one of these."""
        begins = {name.partition(":")[0].partition("-")[0] for name in idle}
        specs = self.trials(replace(request.each_size()[0], backends=()), 0)
        measured = dict.fromkeys(spec.backend.name for spec in specs)
        return [name for name in measured if name.partition("-")[0] in begins]

    def _check_uses(self, request: Request, trials: list[TrialSpec], refused: list[_Refused]) -> None:
        """Raise UsageError, or a subclass, for an option that none of these trials uses."""
        if request.prefetch and not any(prefetch.OPTION in spec.backend.options for spec in trials):
            raise UsageError(
                f"with these options no backend of {self.name} has a prefetch: leave out --prefetch"
            )
        for name, option in _OPTIONS.items():
            given = getattr(request, name) not in (None, ())
            if not given or any(name in workloads.options(spec) for spec in trials):
                continue
            for spec, refusal in refused:
                if name in workloads.options(spec):
                    raise refusal
            raise UsageError(
                f"with these options {self.name} {option.lack}: leave out {option.flag}, "
                f"or use the experiment {option.instead}"
            )


def folder() -> Path:
    """Return the folder of the experiments: shipped with the package, or beside it in a checkout."""
    shipped = Path(__file__).parent / "_shipped" / "experiments"
    return shipped if shipped.is_dir() else Path(__file__).parents[2] / "experiments"


def names() -> list[str]:
    """Return the names of all experiments, the default one first."""
    return sorted((path.stem for path in folder().glob("*.py")), key=lambda name: (name != DEFAULT, name))


def load(name: str) -> Experiment:
    """Return the experiment of this name. Raise UnknownNameError."""
    if name not in names():
        raise UnknownNameError("experiment", name, names())
    found = _module(name).EXPERIMENT
    assert isinstance(found, Experiment)
    return found


def _module(name: str) -> ModuleType:
    full_name = f"ipclab_experiment_{name}"
    if full_name not in sys.modules:
        spec = importlib.util.spec_from_file_location(full_name, folder() / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[full_name] = module
        spec.loader.exec_module(module)
    return sys.modules[full_name]
