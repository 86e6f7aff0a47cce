"""The answer of a run about jobs, as a section of a table and in words: what fits, and why others do not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import units
from ipclab.results.jobs import OPEN, Answer, Fits, Reason, answers
from ipclab.results.result import Result
from ipclab.results.units import NOT_APPLICABLE
from ipclab.results.verdict import Word
from ipclab.trial.study import Slo

_TITLES: dict[Fits, str] = {
    "yes": "Fit for these jobs",
    "unknown": "Undecided",
    "no": "Ruled out",
}
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
            blocks.append(Block(title, tuple(map(_line, some)), () if blocks else _advice(found)))
    return [Section(title="Jobs", heads=_heads(percentile), blocks=tuple(blocks), answers=True)]


def closing(result: Result) -> str:
    """Return the answer in a sentence; empty where the run is not about jobs."""
    found = answers(result)
    if not found:
        return ""
    fit = [answer.backend for answer in found if answer.fits == "yes"]
    open_ = sum(answer.fits == "unknown" for answer in found)
    out = sum(answer.fits == "no" for answer in found)
    more = f" and {len(fit) - _MOST_NAMES} more" if len(fit) > _MOST_NAMES else ""
    names = f": {', '.join(fit[:_MOST_NAMES])}{more}" if fit else ""
    undecided = f"; {open_} undecided" if open_ else ""
    return (
        f"Jobs: {len(fit)} of {units.of(len(found), 'backend')} "
        f"{'keeps' if len(fit) == 1 else 'keep'} {found[0].slo} and "
        f"{'loses' if len(fit) == 1 else 'lose'} nothing when a worker is killed{names}; "
        f"{out} ruled out{undecided}."
    )


def words(answer: Answer, reason: Reason) -> str:
    """Return a reason in a few words: ``2 jobs lost when a worker was killed``."""
    many = units.of(int(reason.amount), "job")
    percentile = Slo.parse(answer.slo).percentile
    match reason.kind:
        case "unavailable":
            return reason.what
        case "failed":
            return f"failed: {reason.what}"
        case "hung":
            return f"hung: {reason.what}"
        case "broken":
            return f"BROKE what it declares: {reason.what}"
        case "lost":
            return f"{many} lost although nothing failed"
        case "undone":
            return f"{many} not done, because the handler raised and the job was not delivered again"
        case "lost_when_killed":
            return f"{many} lost when a worker was killed"
        case "hung_when_killed":
            return f"the others hung in {reason.what} when a worker was killed"
        case "broken_when_killed":
            return f"BROKE what it declares when a worker was killed: {reason.what}"
        case "behind":
            return f"carried only {units.percent(reason.amount)} of the offered jobs"
        case "slow":
            return f"{percentile} {_slow(answer, reason)}"
        case "slow_while_busy":
            return f"{percentile} {_slow(answer, reason)}, but other programs used the machine: measure again"
        case "few":
            return f"too few jobs to tell {percentile}: choose a longer --duration"
        case "not_killed":
            return f"no worker was killed{f': {reason.what}' if reason.what else ''}"
        case "undecided_when_killed":
            return f"undecided when a worker was killed{f': {reason.what}' if reason.what else ''}"
        case _:
            assert_never(reason.kind)


def _slow(answer: Answer, reason: Reason) -> str:
    limit = units.duration(reason.limit)
    if reason.amount:
        return f"{units.duration(reason.amount)} > {limit}"
    share = units.percent(answer.slow_share or 0.0)
    return f"> {limit}: {share} of the jobs took longer, or never ended"


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
            ("yes" if answer.acknowledges else "no") if measured else NOT_APPLICABLE,
            units.count(answer.lost_when_killed) if killed else NOT_APPLICABLE,
            units.count(answer.again_when_killed) if killed else NOT_APPLICABLE,
            "; ".join(dict.fromkeys(words(answer, reason) for reason in _decisive(answer))) or NOT_APPLICABLE,
            answer.fits,
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
        yield (
            f"Acknowledged after the work ({units.of(len(with_), 'backend')}): "
            f"{units.of(sum(a.lost_when_killed for a in with_), 'job')} lost with a killed worker, "
            f"{sum(a.again_when_killed for a in with_)} begun again. Not acknowledged "
            f"({units.of(len(without), 'backend')}): {sum(a.lost_when_killed for a in without)} lost."
        )


def _on_prefetch(found: Sequence[Answer]) -> Iterator[str]:
    """Yield what the prefetch did to the percentile, for each backend that was measured with several."""
    by_name: dict[str, dict[int, Answer]] = {}
    for answer in found:
        if answer.prefetch is not None and answer.percentile_ns is not None:
            name = _without_prefetch(answer.backend)
            by_name.setdefault(name, {})[answer.prefetch] = answer
    for name, some in by_name.items():
        if len(some) > 1:
            each = ", ".join(
                f"{units.duration(some[count].percentile_ns or 0)} with a prefetch of {count}"
                for count in sorted(some)
            )
            percentile = Slo.parse(next(iter(some.values())).slo).percentile
            yield (
                f"{percentile} of {name}: {each}. A prefetched job may wait for a busy worker while another "
                f"is idle."
            )


def _without_prefetch(backend: str) -> str:
    name, _, options = backend.partition(":")
    left = [option for option in options.split(",") if option and not option.startswith("prefetch=")]
    return f"{name}:{','.join(left)}" if left else name
