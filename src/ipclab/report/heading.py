"""The lines above the table: the machine, the brokers and the conditions of the measurement."""

from __future__ import annotations

from collections.abc import Iterable

from ipclab.host.texts import tr
from ipclab.payload.kinds import PLAIN
from ipclab.report import machines
from ipclab.results import units
from ipclab.results.result import Environment, Result
from ipclab.results.safety.cells import is_in_cells
from ipclab.trial import workloads
from ipclab.trial.record import BrokerFacts
from ipclab.trial.spec import TrialSpec


def lines(result: Result) -> list[str]:
    """Return a few lines, in the order in which a sceptical reader asks."""
    found = [_machine(result.environment)]
    if result.brokers:
        brokers = dict.fromkeys(broker(b) for b in result.brokers)
        found.append(tr("Brokers: {brokers}", brokers=", ".join(brokers)))
    if placed := machines.line(result):
        found.append(placed)
    specs = [trial.spec for trial in result.trials]
    if measured := [spec for spec in specs if not is_in_cells(spec) and spec.study is None]:
        # A forced trial ends with its last step, so its duration says nothing.
        found.append(_conditions([spec for spec in measured if not workloads.of(spec).beside] or measured))
    if studied := [spec for spec in specs if spec.study is not None and spec.study.part != "machine"]:
        found.append(_studied(studied))
    if watched := [spec for spec in specs if is_in_cells(spec)]:
        found.append(_watched(watched))
    clock = result.environment.clock
    found.append(
        tr(
            "Measured {began_utc}; the clocks of two processes agree within "
            "{offset_bound_ns}, their smallest step is {step_ns}",
            began_utc=_date(result.began_utc),
            offset_bound_ns=units.duration(clock.offset_bound_ns),
            step_ns=units.duration(clock.step_ns),
        )
    )
    if not result.complete:
        found.append(
            tr(
                "PARTIAL: the run ended after {trials}, before all were done",
                trials=units.of(len(result.trials), "trial"),
            )
        )
    return found


def broker(facts: BrokerFacts) -> str:
    """Return a broker, its version and its origin: ``redis 8.2.1 (compose, container network)``."""
    network = f", {tr(facts.network)}" if facts.network else ""
    return f"{facts.kind} {facts.version} ({facts.provider}{network})"


def _machine(machine: Environment) -> str:
    limit = ""
    if machine.cpu_limit is not None:
        limit = tr(" (limited to the CPU time of {cpu_limit:g})", cpu_limit=machine.cpu_limit)
    return tr(
        "Machine: {cores}, {memory_bytes} of memory, {processor}, {system}; "
        "{implementation} {python}, start method {start_method}, load "
        "{load_1min:.2f} at the start",
        cores=units.of(machine.cores, "core") + limit,
        memory_bytes=units.size(machine.memory_bytes),
        processor=machine.processor,
        system=machine.system,
        implementation=machine.implementation,
        python=machine.python,
        start_method=machine.start_method,
        load_1min=machine.load_1min,
    )


def _conditions(specs: list[TrialSpec]) -> str:
    messages = [spec for spec in specs if workloads.face(spec) == "channel"]
    parts = []
    if messages:
        parts.append(tr("messages of {messages}", messages=_sizes(messages)))
        parts.append(
            tr("window {messages}", messages=_each(str(window) for window in _values(messages, "window")))
        )
    if worked := [spec for spec in messages if spec.work]:
        parts.append(_work(worked))
    rates = [spec for spec in specs if spec.rate_per_s is not None]
    if rates:
        offered = _each(units.given_rate(rate) for rate in _values(rates, "rate_per_s"))
        parts.append(
            tr(
                "latency at {offered} ({rates} arrivals)",
                offered=offered,
                rates=_each(dict.fromkeys(s.pattern for s in rates)),
            )
        )
    if streams := [spec for spec in specs if workloads.of(spec).bounded]:
        bounds = _each(str(n) for n in _values(streams, "backlog"))
        parts.append(
            tr(
                "at most {bounds} messages under way (a message stops counting when a "
                "later one of its producer overtakes it)",
                bounds=bounds,
            )
        )
    warmups = _each(f"{value:g}" for value in _values(specs, "warmup_s"))
    windows = _each(f"{value:g}" for value in _values(specs, "duration_s"))
    repeats = len({spec.repeat for spec in specs})
    parts.append(
        tr(
            "{repeats} of {windows} s after {warmups} s of warm-up",
            repeats=units.of(repeats, "repeat"),
            windows=windows,
            warmups=warmups,
        )
    )
    return tr("Conditions: {parts}", parts=", ".join(parts))


def _work(specs: list[TrialSpec]) -> str:
    """Return what the consumers do with each message: ``work of 5ms (sleep), of which 1% fails``."""
    each = _each(dict.fromkeys(f"{s.work} ({'CPU' if 'cpu' in s.work else 'sleep'})" for s in specs))
    shares = sorted({spec.work_fail_share for spec in specs if spec.work_fail_share})
    fails = (
        tr(", of which {shares} fails", shares=_each(units.percent(share) for share in shares))
        if shares
        else ""
    )
    return tr("work of {each} per message{fails}", each=each, fails=fails)


def _sizes(messages: Iterable[TrialSpec]) -> str:
    """Return the sizes of the messages as text, after that of their payloads where these are not bytes."""
    found: dict[str, set[tuple[int, int]]] = {}
    for spec in messages:
        kind = "" if spec.payload == PLAIN else tr(" of {payload}", payload=units.payload(spec.payload))
        found.setdefault(kind, set()).add((spec.smallest_bytes or spec.size_bytes, spec.size_bytes))
    return "; ".join(
        f"{_each(units.sizes(*one) for one in sorted(sizes, key=lambda s: s[::-1]))}{kind}"
        for kind, sizes in found.items()
    )


def _studied(specs: list[TrialSpec]) -> str:
    """Return the conditions of the trials of a study; the rates are in its table."""
    paced = [spec for spec in specs if spec.rate_per_s is not None]
    parts = [
        tr("messages of {messages}", messages=_sizes(specs)),
        tr("window {messages}", messages=_each(str(window) for window in _values(specs, "window"))),
    ]
    if worked := [spec for spec in specs if spec.work]:
        parts.append(_work(worked))
    if paced:
        shortest, longest = min(s.duration_s for s in paced), max(s.duration_s for s in paced)
        warmups = _each(f"{value:g}" for value in _values(paced, "warmup_s"))
        parts += [
            tr("{arrivals} arrivals", arrivals=_each(dict.fromkeys(spec.pattern for spec in paced))),
            tr(
                "{trials} of {seconds} s after {warmups} s of warm-up",
                trials=units.of(len(paced), "paced trial"),
                seconds=f"{shortest:.3g}",
                warmups=warmups,
            )
            if shortest == longest
            else tr(
                "{trials} of {shortest} to {longest} s after {warmups} s of warm-up",
                trials=units.of(len(paced), "paced trial"),
                shortest=f"{shortest:.3g}",
                longest=f"{longest:.3g}",
                warmups=warmups,
            ),
        ]
    return tr("Conditions: {parts}", parts=", ".join(parts))


def _watched(specs: list[TrialSpec]) -> str:
    """Return the conditions that all safety trials share; shapes and sizes depend on the scene."""
    repeats = len({spec.repeat for spec in specs})
    methods = _each(dict.fromkeys(spec.start_method for spec in specs))
    return tr(
        "Safety: {specs} in {repeats}, start method {methods}; a process counts "
        "as hung after {specs2} s without progress",
        specs=units.of(len(specs), "trial"),
        repeats=units.of(repeats, "repeat"),
        methods=methods,
        specs2=_each(f"{value:g}" for value in _values(specs, "grace_s")),
    )


def _values(specs: Iterable[TrialSpec], name: str) -> list[float]:
    return sorted({getattr(spec, name) for spec in specs})


def _each(texts: Iterable[str]) -> str:
    *most, last = texts
    return tr("{most} and {last}", most=", ".join(most), last=last) if most else last


def _date(utc: str) -> str:
    return f"{utc[:10]} {utc[11:16]} UTC"
