"""``ipclab choose``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ipclab.cli.options import (
    COUNT,
    LANGUAGE,
    PAYLOAD,
    RATE,
    RESULTS,
    SIZES,
    VARIANT,
    WORK,
    emit_text,
    output_in,
    provider_options,
    writable,
)
from ipclab.cli.progress import Progress, progress
from ipclab.cli.streams import say
from ipclab.report.choice.formats import CHOICE

if TYPE_CHECKING:
    from ipclab.backends.registry import Variant
    from ipclab.choose.candidates import Candidate
    from ipclab.choose.decide import Decision
    from ipclab.choose.measure import Step
    from ipclab.choose.needs import Needs
    from ipclab.host.language import Language
    from ipclab.payload.asked import Payload
    from ipclab.payload.sizes import Size, Sizes

NO_SERVERS = "none"
_HARMS = ("lose", "repeat", "reorder")
_EVENTS = ("consumer", "producer", "broker", "reboot")

_CHOOSE_HELP = """Say which backend fits your jobs, from rows of stored runs, and what rules out the others.

Without options it asks, on a terminal. Where a stored run lacks something, it offers to measure just that,
in two minutes at most. It never extrapolates.

\b
ipclab choose
ipclab choose --may repeat --survive consumer --rate 300 --size 20KiB --work 5ms --p99 50ms --consumers 3
ipclab choose --survive consumer --may repeat --servers redis --measure --format json

Exit codes: 0 a backend fits; 3 none is known to fit.
"""


class _Duration(click.ParamType):  # type: ignore[type-arg]  # generic in newer releases only
    """A duration with its unit, in nanoseconds: 50ms, 200us, 1s."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from ipclab.compare.limits import parse
        from ipclab.errors import UsageError

        if isinstance(value, int):
            return value
        try:
            return round(parse(f"p99 > {value.strip()}").bound)
        except UsageError:
            self.fail(f"{value!r} is not a duration; write 50ms, 200us or 1s", param, ctx)


DURATION = _Duration()


@click.command(help=_CHOOSE_HELP)
@click.option("--may", type=click.Choice(_HARMS), multiple=True, help="What may happen to a job; repeatable.")
@click.option(
    "--survive",
    type=click.Choice(_EVENTS),
    multiple=True,
    help="A death, or a reboot of the broker's machine, in which no job is lost; repeatable.",
)
@click.option("--hosts", type=COUNT, help="Number of hosts on which the processes run.")
@click.option(
    "--servers",
    metavar="KIND,…",
    help="Servers that may be used, such as redis,rabbitmq, or none (default: all).",
)
@click.option("--producers", type=COUNT, help="Number of producer processes.")
@click.option("--consumers", type=COUNT, help="Number of consumer processes.")
@click.option("--size", "size", type=SIZES, help="Size of a job: 64, 1KiB, 20k, or a range 2KiB-20KiB.")
@click.option(
    "--payload",
    type=PAYLOAD,
    metavar="KIND[:…]",
    help="What a job is: bytes, dict, json, dataclass, ndarray:float64, dataframe, file:PATH.",
)
@click.option(
    "--work",
    type=WORK,
    metavar="[exp:][cpu:]TIME",
    help="Work of a consumer on each job: 5ms (sleeps), cpu:5ms, exp:5ms.",
)
@click.option("--rate", "rate_per_s", type=RATE, help="Jobs per second of all producers together.")
@click.option("--p99", "p99_ns", type=DURATION, help="Limit for the 99th percentile of the latency: 50ms.")
@click.option(
    "-b",
    "--backend",
    "backends",
    type=VARIANT,
    multiple=True,
    metavar="NAME[:OPTION=VALUE,…]",
    help="Choose among these backends only; repeatable.",
)
@click.option(
    "--measure/--no-measure",
    default=None,
    help="Measure what stored runs lack, or not (default: ask on a terminal).",
)
@LANGUAGE
@provider_options
@output_in(CHOICE.names)
@RESULTS
def choose(
    backends: tuple[Variant, ...],
    measure: bool | None,
    language: Language,
    provider: Any,
    install: bool | None,
    format_: str,
    output: Path | None,
    results: Path,
    **given: Any,
) -> int:
    """Run ``ipclab choose``; its help is ``_CHOOSE_HELP``."""
    from ipclab.choose import candidates, snippets
    from ipclab.choose import measure as measuring
    from ipclab.experiment import Request
    from ipclab.report.choice.shown import Shown

    needs = _needs(given, language)
    found = candidates.of(Request(backends=backends).channels())
    _require_channels(backends, found)
    lacking = _absent(found)
    with writable(output):
        decision = _decide(needs, found, results, lacking)
        steps = measuring.steps(decision)
        if steps and _wants(measure, sum(step.seconds for step in steps), language):
            with progress() as observer:
                decision = _measure(decision, found, results, lacking, observer, provider, install)
            steps = measuring.steps(decision)
    program = snippets.text(_variant(found, decision)) if decision.fits else None
    shown = Shown(decision, program, [step.command for step in steps], language)
    emit_text(lambda look: CHOICE.formatted(shown, format_, look), output, utf_8=CHOICE.named(format_).utf_8)
    return shown.exit_code


def _needs(given: dict[str, Any], language: Language) -> Needs:
    """Return the needs that the options name, or that the user answers. Raise UsageError."""
    from ipclab.choose.needs import Needs
    from ipclab.errors import UsageError
    from ipclab.payload.kinds import PLAIN

    if not any(value not in (None, ()) for value in given.values()):
        if not sys.stdin.isatty():
            raise UsageError("there is no terminal to ask on: say what you need, such as --survive consumer")
        given = _asked(language)
    servers = given["servers"]
    smallest_bytes, size_bytes = _size(given["payload"], given["size"])
    needs = Needs(
        may=frozenset(given["may"]),
        survive=frozenset(given["survive"]),
        hosts=given["hosts"] or 1,
        servers=None if servers is None else _servers(servers),
        producers=given["producers"] or 1,
        consumers=given["consumers"] or 1,
        size_bytes=size_bytes,
        smallest_bytes=smallest_bytes,
        payload=given["payload"].text if given["payload"] else PLAIN,
        work=given["work"] or "",
        rate_per_s=given["rate_per_s"],
        p99_ns=given["p99_ns"],
    )
    needs.check()
    return needs


def _require_channels(backends: tuple[Variant, ...], found: list[Candidate]) -> None:
    """Raise UsageError for a backend that carries no jobs."""
    from ipclab.errors import UsageError

    known = {one.variant.name for one in found}
    if others := [variant.name for variant in backends if variant.name not in known]:
        raise UsageError(f"{', '.join(others)} carries no jobs: name channels, see 'ipclab backends'")


def _size(payload: Payload | None, asked: Size | Sizes | None) -> tuple[int, int | None]:
    """Return the smallest size, 0 where all are the same, and the largest. Raise UsageError for several."""
    from ipclab.errors import UsageError
    from ipclab.payload.sizes import SizeRange
    from ipclab.trial.payloads import sizes

    found = sizes(payload, asked)
    if len(found) > 1:
        raise UsageError("a choice is about one size, or a range of sizes, not about several")
    if not found:
        return 0, None
    (size,) = found
    return (size.smallest_bytes, size.largest_bytes) if isinstance(size, SizeRange) else (0, size)


def _servers(text: str) -> frozenset[str]:
    from ipclab.brokers import kind_names
    from ipclab.errors import UnknownNameError

    if text.strip() == NO_SERVERS:
        return frozenset()
    found = frozenset(word.strip() for word in text.split(","))
    for name in found - set(kind_names()):
        raise UnknownNameError("kind of server", name, [*kind_names(), NO_SERVERS])
    return found


def _asked(language: Language) -> dict[str, Any]:
    """Ask the user, on stderr, what matters; return the answers as options are given."""
    from ipclab.brokers import kind_names
    from ipclab.report.choice import words

    def confirm(text: words.Text, **parts: object) -> bool:
        return click.confirm(text.of(language, **parts), default=False, err=True)

    def prompt(text: words.Text, default: Any, kind: Any, **parts: object) -> Any:
        return click.prompt(text.of(language, **parts), default=default, type=kind, err=True)

    answers: dict[str, Any] = {
        "may": [harm for harm, text in words.HARMS.items() if confirm(text)],
        "survive": [
            event for event, text in words.EVENTS.items() if confirm(words.SURVIVE, event=text.of(language))
        ],
        "hosts": prompt(words.HOSTS, 1, COUNT),
        "servers": prompt(words.SERVERS, ",".join(kind_names()), str, known=", ".join(kind_names())),
        "producers": prompt(words.PRODUCERS, 1, COUNT),
        "consumers": prompt(words.CONSUMERS, 1, COUNT),
        "size": None,
        "payload": None,
        "work": None,
        "rate_per_s": prompt(words.RATE, 0, click.FloatRange(min=0)) or None,
        "p99_ns": None,
    }
    if answers["rate_per_s"]:
        answers["size"] = prompt(words.SIZE, "1KiB", SIZES)
        answers["payload"] = prompt(words.PAYLOAD, "bytes", PAYLOAD)
        work = prompt(words.WORK, "0", str)
        answers["work"] = None if work == "0" else WORK.convert(work, None, None)
        limit = prompt(words.P99, "0", str)
        answers["p99_ns"] = None if limit == "0" else DURATION.convert(limit, None, None)
    return answers


def _absent(found: Iterable[Candidate]) -> frozenset[str]:
    """Return the kinds of servers of these candidates that this machine does not have."""
    from ipclab.brokers import outlook

    kinds = {one.broker for one in found if one.broker is not None}
    return frozenset(kind for kind in kinds if not outlook.is_here(kind))


def _decide(needs: Needs, found: list[Candidate], results: Path, absent: frozenset[str]) -> Decision:
    from ipclab.choose.decide import conclude
    from ipclab.choose.evidence import Machine, gather
    from ipclab.environment import machine
    from ipclab.errors import ResultsError
    from ipclab.results.store import Store

    store = Store(results)
    runs = []
    for name in store.runs():
        try:
            runs.append((name, store.load(name)))
        except ResultsError as error:
            say(f"left out: {error}")
    return conclude(needs, found, gather(runs, Machine(*machine()), needs.p99_ns), absent)


def _wants(measure: bool | None, seconds: float, language: Language) -> bool:
    """Return whether to measure: what the option says, else what the user answers on a terminal."""
    from ipclab.report.choice import words

    if measure is not None or not sys.stdin.isatty():
        return bool(measure)
    return click.confirm(words.MEASURE.of(language, seconds=round(seconds)), default=True, err=True)


def _measure(
    decision: Decision,
    found: list[Candidate],
    results: Path,
    absent: frozenset[str],
    observer: Progress,
    provider: Any,
    install: bool | None,
) -> Decision:
    """Run what is missing, one run after the other, as far as there is time; return the new decision."""
    from ipclab.choose import measure

    until = time.monotonic() + measure.WITHIN_S
    done: set[tuple[str, str | None]] = set()
    while True:
        # After each run, fewer candidates may be left for the next. What stays open is measured once only.
        left_s = until - time.monotonic()
        found_steps = measure.steps(decision, left_s, frozenset(done))
        if not found_steps:
            return decision
        step = found_steps[0]
        done.add((step.experiment, step.target))
        _run(step, results, observer, provider, install)
        decision = _decide(decision.needs, found, results, absent)


def _run(step: Step, results: Path, observer: Progress, provider: Any, install: bool | None) -> None:
    from ipclab import lab
    from ipclab.cli.options import options_in_words
    from ipclab.experiment import load
    from ipclab.results.store import Store

    observer.note(f"measuring by: {step.command}")
    outcome = lab.run(
        load(step.experiment),
        step.request,
        store=Store(results),
        observer=observer,
        provider=provider,
        install=install,
        options=options_in_words(step.options),
    )
    say(f"kept in {outcome.folder}")


def _variant(found: Iterable[Candidate], decision: Decision) -> Variant:
    best = decision.fits[0]
    return next(one.variant for one in found if one.name == best.backend)
