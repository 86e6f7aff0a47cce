"""The answer of a run about jobs, as a section of a table and in words: what fits, and why others do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from ipclab.host.texts import mark, tr
from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import units
from ipclab.results.jobs import OPEN, Answer, Fits, Reason, answers
from ipclab.results.result import Result
from ipclab.results.units import NOT_APPLICABLE
from ipclab.results.verdict import Word
from ipclab.trial.study import Slo

_TITLES: dict[Fits, str] = {
    "yes": mark("Fit for these jobs"),
    "unknown": mark("Undecided"),
    "no": mark("Ruled out"),
}
_SAID: dict[Fits, str] = {"yes": mark("yes"), "unknown": mark("unknown"), "no": mark("no")}
_WORDS: dict[Fits, Word] = {"yes": "kept", "unknown": "unknown", "no": "failed"}
_MOST_NAMES = 6


def section(result: Result) -> list[Section]:
    """Return the section with the answer; none where the run is not about jobs."""
    found = answers(result)
    if not found:
        return []
    percentile = Slo.parse(found[0].slo).percentile
    blocks: list[Block] = []
    for fits, title in _TITLES.items():
        if some := [answer for answer in found if answer.fits == fits]:
            blocks.append(Block(tr(title), tuple(map(_line, some)), () if blocks else _advice(found)))
    return [
        Section(
            title=tr("Jobs"),
            heads=tuple(head.said() for head in _heads(percentile)),
            blocks=tuple(blocks),
            answers=True,
        )
    ]


def closing(result: Result) -> str:
    """Return the answer in a sentence; empty where the run is not about jobs."""
    found = answers(result)
    if not found:
        return ""
    fit = [answer.backend for answer in found if answer.fits == "yes"]
    open_ = sum(answer.fits == "unknown" for answer in found)
    out = sum(answer.fits == "no" for answer in found)
    names = ", ".join(fit[:_MOST_NAMES])
    if (more := len(fit) - _MOST_NAMES) > 0:
        names = tr("{names} and {more} more", names=names, more=more)
    parts = [
        tr(
            "{fit} of {backends} keep {slo} and lose nothing when a worker is killed{names}",
            fit=len(fit),
            backends=units.of(len(found), "backend"),
            slo=found[0].slo,
            names=f": {names}" if names else "",
        ),
        tr("{out} ruled out", out=out),
        tr("{undecided} undecided", undecided=open_) if open_ else "",
    ]
    return tr("Jobs: {parts}.", parts="; ".join(part for part in parts if part))


def words(answer: Answer, reason: Reason) -> str:
    """Return a reason in a few words: ``2 jobs lost when a worker was killed``."""
    many = units.of(int(reason.amount), "job")
    percentile = Slo.parse(answer.slo).percentile
    match reason.kind:
        case "unavailable":
            return reason.what
        case "failed":
            return tr("failed: {what}", what=reason.what)
        case "hung":
            return tr("hung: {what}", what=reason.what)
        case "broken":
            return tr("BROKE what it declares: {what}", what=reason.what)
        case "lost":
            return tr("{jobs} lost although nothing failed", jobs=many)
        case "undone":
            return tr(
                "{jobs} not done, because the handler raised and the job was not delivered again", jobs=many
            )
        case "lost_when_killed":
            return tr("{jobs} lost when a worker was killed", jobs=many)
        case "hung_when_killed":
            return tr("the others hung in {what} when a worker was killed", what=reason.what)
        case "broken_when_killed":
            return tr("BROKE what it declares when a worker was killed: {what}", what=reason.what)
        case "behind":
            return tr("carried only {share} of the offered jobs", share=units.percent(reason.amount))
        case "slow":
            return f"{percentile} {_slow(answer, reason)}"
        case "slow_while_busy":
            return tr(
                "{slow}, but other programs used the machine: measure again",
                slow=f"{percentile} {_slow(answer, reason)}",
            )
        case "few":
            return tr("too few jobs to tell {percentile}: choose a longer --duration", percentile=percentile)
        case "not_killed":
            return tr("no worker was killed{why}", why=f": {reason.what}" if reason.what else "")
        case "undecided_when_killed":
            return tr(
                "undecided when a worker was killed{why}", why=f": {reason.what}" if reason.what else ""
            )
        case _:
            assert_never(reason.kind)


def _slow(answer: Answer, reason: Reason) -> str:
    limit = units.duration(reason.limit)
    if reason.amount:
        return f"{units.duration(reason.amount)} > {limit}"
    share = units.percent(answer.slow_share or 0.0)
    return tr("> {limit}: {share} of the jobs took longer, or never ended", limit=limit, share=share)


def _heads(percentile: str) -> tuple[Head, ...]:
    return (
        Head("backend", "backend", False, True, True, False),
        Head(percentile, percentile, True, False, False, False),
        Head("in\nwork", "in work", True, False, False, False),
        Head("pre-\nfetch", "prefetch", True, False, False, True),
        Head("acknow-\nledged", "acknowledged after the work", False, False, False, True),
        Head("killed:\nlost", "worker killed: lost", True, False, False, False),
        Head("\nagain", "worker killed: begun again", True, False, False, False),
        Head("why not", "why not", False, False, True, False),
        Head("fits", "fits", False, False, False, False),
    )


def _line(answer: Answer) -> Line:
    measured, killed = answer.jobs > 0, answer.killed > 0
    word = _WORDS[answer.fits]
    return Line(
        cells=(
            answer.backend,
            units.duration(answer.percentile_ns) if answer.percentile_ns is not None else NOT_APPLICABLE,
            units.percent(answer.utilisation) if answer.utilisation is not None else NOT_APPLICABLE,
            str(answer.prefetch) if answer.prefetch else NOT_APPLICABLE,
            (tr("yes") if answer.acknowledges else tr("no")) if measured else NOT_APPLICABLE,
            units.count(answer.lost_when_killed) if killed else NOT_APPLICABLE,
            units.count(answer.again_when_killed) if killed else NOT_APPLICABLE,
            "; ".join(dict.fromkeys(words(answer, reason) for reason in _decisive(answer))) or NOT_APPLICABLE,
            tr(_SAID[answer.fits]),
        ),
        verdict=word,
        values=(
            None,
            answer.percentile_ns,
            answer.utilisation,
            answer.prefetch,
            None,
            answer.lost_when_killed if killed else None,
            answer.again_when_killed if killed else None,
            None,
            None,
        ),
    )


def _decisive(answer: Answer) -> list[Reason]:
    """Return the reasons that decide: where some rule it out, those that leave it open do not matter."""
    decisive = [reason for reason in answer.reasons if reason.kind not in OPEN]
    return decisive or answer.reasons


def _advice(found: Sequence[Answer]) -> tuple[str, ...]:
    return (*_on_acknowledgement(found), *_on_prefetch(found))


def _on_acknowledgement(found: Sequence[Answer]) -> Iterator[str]:
    """Yield what acknowledging after the work has done, where both ways were measured."""
    killed = [answer for answer in found if answer.killed]
    with_, without = ([a for a in killed if a.acknowledges is which] for which in (True, False))
    if with_ and without:
        yield tr(
            "Acknowledged after the work ({with_}): {kept} lost with a killed worker, {again} begun again. "
            "Not acknowledged ({without}): {lost} lost.",
            with_=units.of(len(with_), "backend"),
            kept=units.of(sum(a.lost_when_killed for a in with_), "job"),
            again=sum(a.again_when_killed for a in with_),
            without=units.of(len(without), "backend"),
            lost=sum(a.lost_when_killed for a in without),
        )


def _on_prefetch(found: Sequence[Answer]) -> Iterator[str]:
    """Yield what the prefetch did to the percentile, for each backend that was measured with several.

    Where other programs made one of them slow, nothing is said.
    """
    by_name: dict[str, dict[int, Answer]] = {}
    for answer in found:
        if answer.prefetch is not None:
            by_name.setdefault(_without_prefetch(answer.backend), {})[answer.prefetch] = answer
    for name, some in by_name.items():
        told = [some[count].percentile_ns for count in sorted(some)]
        known = [value for value in told if value is not None]
        if len(known) < 2 or len(known) < len(told) or any(map(_made_slow, some.values())):
            continue
        each = ", ".join(
            tr("{time} with a prefetch of {count}", time=units.duration(value), count=count)
            for count, value in zip(sorted(some), known, strict=True)
        )
        percentile = Slo.parse(next(iter(some.values())).slo).percentile
        yield tr("{percentile} of {name}: {each}.", percentile=percentile, name=name, each=each)
        if known == sorted(known) and known[0] < known[-1]:
            yield tr("A prefetched job may wait for a busy worker while another is idle.")


def _made_slow(answer: Answer) -> bool:
    return any(reason.kind == "slow_while_busy" for reason in answer.reasons)


def _without_prefetch(backend: str) -> str:
    name, _, options = backend.partition(":")
    left = [option for option in options.split(",") if option and not option.startswith("prefetch=")]
    return f"{name}:{','.join(left)}" if left else name
