"""The trials of threads, processes and interpreters as sections: what they carry, and what a number loses."""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.host.texts import mark, tr
from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import units, verdict
from ipclab.results.stats import median
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.thread_facts import COUNTING, ThreadFigures, cases
from ipclab.trial.workloads import THREADS

_CASES = {case.name: case for case in cases(interpreters=True)}
_CARRY = mark("Threads and processes: items there and back")
_COUNT = mark("Threads and processes: a shared number")
_CARRY_HEADS = (
    (mark("way"), False),
    (mark("workers"), False),
    (mark("GIL"), False),
    (mark("items/s"), True),
    (mark("cores"), True),
    (mark("the receiver has"), False),
    (mark("verdict"), False),
)
_COUNT_HEADS = (
    (mark("way"), False),
    (mark("workers"), False),
    (mark("GIL"), False),
    (mark("increments"), True),
    (mark("increments/s"), True),
    (mark("lost"), True),
    (mark("verdict"), False),
)


def sections(trials: Sequence[TrialRecord]) -> list[Section]:
    """Return the sections of all ``threads`` trials; none where there are none."""
    rows: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if workloads.of(trial.spec) is THREADS:
            rows.setdefault(trial.spec.scenario, []).append(trial)
    carry: dict[str, list[Line]] = {}
    count: dict[str, list[Line]] = {}
    for members in rows.values():
        case = _CASES[members[0].spec.scenario]
        found = [trial.threads for trial in members if trial.threads is not None]
        of, show = (count, _counted) if case.work in COUNTING else (carry, _carried)
        cells = show(found) if found else (case.way, tr(case.where), *("–",) * 4)
        word = verdict.worst(map(verdict.of_trial, members))
        of.setdefault(case.work, []).append(Line((*cells, tr(word)), word))
    return [
        Section(
            title=tr(title),
            heads=tuple(
                Head(text, text, right, place == 0, place == 0, False).said()
                for place, (text, right) in enumerate(heads)
            ),
            blocks=tuple(Block(tr(work), tuple(lines)) for work, lines in blocks.items()),
        )
        for title, heads, blocks in ((_CARRY, _CARRY_HEADS, carry), (_COUNT, _COUNT_HEADS, count))
        if blocks
    ]


_WORDS = (
    *(mark("threads"), mark("processes"), mark("interpreters"), mark("bytes"), mark("arrays")),
    *(mark("cpu"), mark("waiting"), mark("n += 1"), mark("n = f(n) + 1"), mark("n += 1, locked")),
)
"""The words of the cases, which are shown in the language of the reader."""


def _about(found: Sequence[ThreadFigures]) -> tuple[str, str, str]:
    one = found[0]
    return one.way, f"{one.workers} {tr(one.where)}", tr("on") if one.gil else tr("off")


def _carried(found: Sequence[ThreadFigures]) -> tuple[str, ...]:
    return (
        *_about(found),
        units.rate(median([one.items / one.seconds for one in found])),
        units.number(median([one.cpu_s / one.seconds for one in found]), 2),
        tr("the same object") if all(one.same_object for one in found) else tr("a copy"),
    )


def _counted(found: Sequence[ThreadFigures]) -> tuple[str, ...]:
    done, left = sum(one.items for one in found), sum(one.counted or 0 for one in found)
    return (
        *_about(found),
        f"{done}",
        units.rate(median([one.items / one.seconds for one in found])),
        f"{done - left} ({(done - left) / done:.0%})" if done != left else "0",
    )
