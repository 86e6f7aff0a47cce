"""The top of the page: the question, the machine, and whether anything went wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from ipclab.host.texts import tr
from ipclab.report import heading
from ipclab.report.html.claims import ClaimCard
from ipclab.report.html.run import Run
from ipclab.results import busy, searches, units
from ipclab.results.capacity import capacities
from ipclab.results.result import Result
from ipclab.results.safety.cells import WORDS, make_cells
from ipclab.results.verdict import Word

_BUSY_LOAD = 0.5
"""Load per processor at the start, from which figures are called rough where nothing else is known."""
Tone = Literal["good", "doubt", "worst", "none"]
_DOUBTFUL: tuple[Word, ...] = ("hung", "failed", "unknown")


@dataclass(frozen=True, slots=True)
class Banner:
    """``head`` is one sentence, ``lines`` what follows it; ``tone`` is the CSS class."""

    tone: Tone
    head: str
    lines: tuple[str, ...] = ()


def question(runs: Sequence[Run]) -> str:
    """Return the heading of the page."""
    asked = list(dict.fromkeys(tr(run.result.question) for run in runs))
    if len(asked) == 1:
        return asked[0][:1].upper() + asked[0][1:]
    return tr("How do processes share state on this machine?")


def chips(runs: Sequence[Run]) -> list[str]:
    """Return the machine, the versions and the date in a few words each, each once."""
    found = [chip for run in runs for chip in _machine(run.result)]
    found += [heading.broker(b) for run in runs for b in run.result.brokers]
    found += [tr("measured {began_utc}", began_utc=_day(run.result.began_utc)) for run in runs]
    return list(dict.fromkeys(found))


def _machine(result: Result) -> list[str]:
    here = result.environment
    return [
        units.of(here.cores, "core"),
        here.processor,
        units.size(here.memory_bytes),
        here.system,
        f"{here.implementation} {here.python}",
        f"ipclab {here.ipclab}",
        tr("start method {start_method}", start_method=here.start_method),
    ]


def _day(utc: str) -> str:
    return f"{utc[:10]} {utc[11:16]} UTC"


def verdict(runs: Sequence[Run], claims: Sequence[ClaimCard]) -> Banner:
    """Return the banner of the verdict: good only where nothing broke, hung, failed or stayed unknown."""
    many = Counter(_words(runs))
    differ = sum(claim.tone == "worst" for claim in claims)
    lines = tuple(f"{run.result.experiment}: {run.table.closing}" for run in runs if run.table.closing)
    if claims:
        lines = (
            *lines,
            tr(
                "claims: {claims}, {differ} not as recorded",
                claims=units.of(len(claims), "claim"),
                differ=_or_none(differ),
            ),
        )
    doubts = [f"{units.count(many[word])} {_DONE[word]}" for word in _DOUBTFUL if many[word]]
    if many["broken"] or differ:
        broke = (
            [
                tr(
                    "{many} BROKE what is declared",
                    many=units.of(many["broken"], "row or cell", "rows or cells"),
                )
            ]
            if many["broken"]
            else []
        )
        broke += (
            [tr("{differ} came out otherwise than recorded", differ=units.of(differ, "claim"))]
            if differ
            else []
        )
        return Banner("worst", f"{'; '.join([*broke, *doubts])}.", lines)
    if not many and not claims:
        return Banner("none", tr("Nothing was measured."), lines)
    if doubts:
        return Banner(
            "doubt", tr("Nothing broke what it declares; {doubts}.", doubts=", ".join(doubts)), lines
        )
    return Banner("good", tr("Nothing broke, hung, failed or stayed unknown."), lines)


_DONE: dict[Word, str] = {"hung": "hung", "failed": "failed or did not go on", "unknown": "cannot be judged"}


def _words(runs: Sequence[Run]) -> Iterable[Word]:
    for run in runs:
        yield from (row.verdict for row in run.rows)
        yield from (row.verdict for row in capacities(run.result.trials))
        if (alone := searches.machine(run.result.trials)) is not None and alone.fails:
            yield "unknown"
        found = (WORDS[cell.verdict] for cell in make_cells(run.result.trials))
        yield from (word for word in found if word is not None)


def _or_none(many: int) -> str:
    return units.count(many) if many else "none"


def warnings(runs: Sequence[Run]) -> list[Banner]:
    """Return a banner for each run that is partial, or was made on a busy machine."""
    return [banner for run in runs for banner in (_partial(run), _busy(run)) if banner is not None]


def _partial(run: Run) -> Banner | None:
    if run.result.complete:
        return None
    many = units.of(len(run.result.trials), "trial")
    return Banner(
        "doubt",
        tr(
            "Partial: the run of {experiment} ended after {many}, before it was done.",
            experiment=run.result.experiment,
            many=many,
        ),
    )


def _busy(run: Run) -> Banner | None:
    here = run.result.environment
    if run.table.busy:
        return Banner("doubt", run.table.busy)
    if busy.others_cores(run.result) is not None or here.load_1min < _BUSY_LOAD * here.cores:
        return None
    return Banner(
        "doubt",
        tr(
            "Busy machine: when {experiment} began, the load was {load_1min:.2f} on "
            "{cores}. Figures are rough; run it again on an idle machine.",
            experiment=run.result.experiment,
            load_1min=here.load_1min,
            cores=units.of(here.cores, "core"),
        ),
    )
