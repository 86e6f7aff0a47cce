"""The page: the sections of some runs in one file that needs nothing else, the same for the same input."""

from __future__ import annotations

import base64
import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import jinja2
from markupsafe import Markup

from ipclab.host.texts import language, tr
from ipclab.report.html import (
    brackets,
    curves,
    fastest,
    figures,
    lines,
    matrix,
    races,
    rates,
    style,
    summary,
)
from ipclab.report.html.bytecode import BesideSource
from ipclab.report.html.claims import ClaimCard
from ipclab.report.html.curves import Latencies
from ipclab.report.html.fastest import Card
from ipclab.report.html.figures import Grid
from ipclab.report.html.matrix import Matrix
from ipclab.report.html.run import Run
from ipclab.report.html.svg.picture import Picture
from ipclab.report.html.trends import TrendPart
from ipclab.report.layout import Evidence
from ipclab.results import again, units


@dataclass(frozen=True, slots=True)
class Part:
    """Everything that the page shows of one run. What a run does not have is empty."""

    run: Run
    answers: Sequence[Grid]
    cards: Sequence[Card]
    wide: Markup
    strips: Sequence[Markup]
    brackets: Sequence[Markup]
    rates: Sequence[Markup]
    curves: Sequence[Markup]
    withheld: Sequence[str]
    races: Sequence[Markup]
    race_strips: Sequence[Markup]
    matrix: Matrix | None
    others: Sequence[Grid]
    exhibits: Sequence[tuple[Evidence, str]]
    grids: Sequence[Grid]
    stacks: Sequence[tuple[str, str]]
    again: str
    facts: Sequence[tuple[str, str]]


def make_page(runs: Sequence[Run], claims: Sequence[ClaimCard] = (), trends: Sequence[TrendPart] = ()) -> str:
    """Return the page of these runs, claims and trends. Raise ResultsError for an unreadable histogram."""
    script = (style.TEMPLATES / "page.js").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
            style=Markup(style.of_page()),
            script=Markup(script),
            language=language(),
            question=summary.question(runs) if runs else tr("What is true of processes and threads?"),
            chips=summary.chips(runs),
            verdict=summary.verdict(runs, claims),
            warnings=summary.warnings(runs),
            parts=[_part(run) for run in runs],
            claims=claims,
            trends=trends,
            withheld=units.WITHHELD,
            not_applicable=units.NOT_APPLICABLE,
        )
    )


def pictures(run: Run) -> list[Picture]:
    """Return the pictures of a run as they are on a wide page, to be files of their own."""
    return [
        *lines.pictures(run)[:1],
        *brackets.pictures(run),
        *rates.pictures(run),
        *curves.latencies(run).pictures,
        *races.pictures(run, races.WIDE),
    ]


def _part(run: Run) -> Part:
    drawn = [picture.inline() for picture in lines.pictures(run)]
    found: Latencies = curves.latencies(run)
    faults = [section for section in run.table.sections if section.target is not None]
    answers = [section for section in run.table.sections if section.answers]
    rows = run.table.sections[len(answers) :][: len({row.kind for row in run.rows})]
    others = [section for section in run.table.sections if section not in (*answers, *faults, *rows)]
    return Part(
        run=run,
        answers=figures.grids(run, answers),
        cards=fastest.cards(run),
        wide=drawn[0] if drawn else Markup(""),
        strips=drawn[1:],
        brackets=[picture.inline() for picture in brackets.pictures(run)],
        rates=[picture.inline() for picture in rates.pictures(run)],
        curves=[picture.inline() for picture in found.pictures],
        withheld=found.withheld,
        races=[picture.inline() for picture in races.pictures(run, races.WIDE)],
        race_strips=[picture.inline() for picture in races.pictures(run, races.NARROW)],
        matrix=matrix.make(run),
        others=figures.grids(run, others),
        exhibits=[(one, one.check(run.folder)) for one in run.table.evidence],
        grids=figures.grids(run, [*rows, *faults]),
        stacks=_stacks(run),
        again=again.command(run.result),
        facts=_facts(run),
    )


def _stacks(run: Run) -> list[tuple[str, str]]:
    """Return where each process of a measured trial hung; those of safety trials are among the evidence."""
    return [
        (
            tr(
                "{backend} {workload}, repeat {repeat}: {process}",
                backend=trial.spec.backend,
                workload=trial.spec.workload,
                repeat=trial.spec.repeat + 1,
                process=process,
            ),
            stack,
        )
        for trial in run.result.trials
        if trial.safety is None
        for process, stack in trial.stuck.items()
    ]


def _facts(run: Run) -> list[tuple[str, str]]:
    result, here = run.result, run.result.environment
    facts = [
        ("began", result.began_utc),
        ("ended", result.ended_utc),
        ("seed", result.options.get("seed", "1")),
        ("ipclab", here.ipclab),
        (
            "Python",
            tr(
                "{implementation} {python}, start method {start_method}",
                implementation=here.implementation,
                python=here.python,
                start_method=here.start_method,
            ),
        ),
        ("libraries", ", ".join(f"{name} {version}" for name, version in sorted(here.libraries.items()))),
        ("brokers", "; ".join(f"{b.kind} {b.version} ({b.provider}, {b.url})" for b in result.brokers)),
        ("trials", units.count(len(result.trials))),
        (tr("stored in"), run.folder),
    ]
    return [(tr(what), value) for what, value in facts if value]


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(style.TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=BesideSource(style.TEMPLATES),
    )
    environment.globals["tr"] = tr
    return environment
