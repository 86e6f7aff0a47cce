"""The trials of task queues as sections of a table: what a task costs, and what each fault does to tasks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ipclab.host.texts import mark, tr
from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import units, verdict
from ipclab.results.reasons import Reasons
from ipclab.results.safety.cells import label
from ipclab.results.safety.sightings import refusal
from ipclab.results.stats import median
from ipclab.results.verdict import Word
from ipclab.trial import workloads
from ipclab.trial.distribution import merge
from ipclab.trial.record import TrialRecord
from ipclab.trial.task_facts import TaskFigures
from ipclab.trial.workloads import TASKS

_COST = mark("Task queues: cost")
_COST_OF = mark("One worker with one executor")
FAULTS = mark("Task queues: faults")
_FAULTS_OF = mark("What became of eight tasks")
_NONE = "–"


def sections(trials: Sequence[TrialRecord], reasons: Reasons) -> list[Section]:
    """Return the sections of all ``tasks`` trials; none where there are none."""
    some = [trial for trial in trials if workloads.of(trial.spec) is TASKS]
    calm = [trial for trial in some if trial.spec.task_fault is None]
    struck = [trial for trial in some if trial.spec.task_fault is not None]
    return [*_cost(calm), *_faults(struck, reasons)]


def _cost(trials: Sequence[TrialRecord]) -> list[Section]:
    heads = tuple(
        Head(text, text, right, key, key, False).said()
        for text, right, key in (
            (mark("task queue"), False, True),
            (mark("version"), False, False),
            (mark("submits/s"), True, False),
            (mark("tasks/s"), True, False),
            (mark("p50 to the end"), True, False),
            (mark("p99 to the end"), True, False),
            (mark("CPU/task"), True, False),
            (mark("broker CPU/task"), True, False),
            (mark("verdict"), False, False),
        )
    )
    lines = [_cost_line(row, members) for row, members in _rows(trials).items()]
    return (
        [Section(title=tr(_COST), heads=heads, blocks=(Block(tr(_COST_OF), tuple(lines)),))] if lines else []
    )


def _cost_line(row: str, trials: Sequence[TrialRecord]) -> Line:
    found = [trial.tasks for trial in trials if trial.tasks is not None]
    latency = merge(t.latency.end_to_end for t in trials if t.latency.end_to_end is not None)
    word = verdict.worst(map(verdict.of_trial, trials))
    values = (
        None,
        None,
        _middle(found, lambda one: one.submits_per_s),
        _middle(found, lambda one: one.executes_per_s),
        latency.p50_ns if latency else None,
        latency.p99_ns if latency else None,
        _middle(found, lambda one: one.worker_cpu_us_per_task),
        _middle(found, lambda one: one.broker_cpu_us_per_task),
        None,
    )
    cells = (
        row,
        _version(found),
        _or_none(units.rate, values[2]),
        _or_none(units.rate, values[3]),
        _or_none(units.duration, values[4]),
        _or_none(units.duration, values[5]),
        *(_NONE if us is None else units.duration(us * 1e3) for us in values[6:8]),
        tr(word),
    )
    return Line(cells, word, values=values)


def _faults(trials: Sequence[TrialRecord], reasons: Reasons) -> list[Section]:
    faults = list(dict.fromkeys(trial.spec.task_fault for trial in trials))
    heads = [Head(tr("task queue"), tr("task queue"), False, True, True, False)]
    heads.append(Head(tr("version"), tr("version"), False, False, False, False))
    heads += [Head(str(fault), str(fault), False, False, True, False) for fault in faults]
    lines = []
    for row, members in _rows(trials).items():
        versions = _version([trial.tasks for trial in members if trial.tasks is not None])
        cells: list[str] = [row, versions]
        words: list[Word | None] = [None, None]
        for fault in faults:
            some = [trial for trial in members if trial.spec.task_fault == fault]
            text, word = _cell(some, reasons)
            cells.append(text)
            words.append(word)
        worst = verdict.worst(map(verdict.of_trial, members))
        lines.append(Line(tuple(cells), worst, words=tuple(words)))
    return (
        [Section(title=tr(FAULTS), heads=tuple(heads), blocks=(Block(tr(_FAULTS_OF), tuple(lines)),))]
        if lines
        else []
    )


def _cell(trials: Sequence[TrialRecord], reasons: Reasons) -> tuple[str, Word | None]:
    """Return what the trials of one fault saw, the worst counts first, and the word that colours it."""
    if not trials:
        return _NONE, None
    refused = [refusal(trial) for trial in trials if refusal(trial)]
    if refused:
        return reasons.mark(refused[0]), None
    word = verdict.worst(map(verdict.of_trial, trials))
    found = [trial.tasks for trial in trials if trial.tasks is not None]
    if not found:
        failed = next(trial for trial in trials if trial.tasks is None)
        return f"{failed.outcome}{reasons.mark(failed.reason or failed.outcome)}", word
    parts = [part for part in (_counted(found, *item) for item in _COUNTS.items()) if part]
    again = [one.ledger.redone_after_ns for one in found if one.ledger.redone_after_ns is not None]
    if again:
        parts.append(tr("redone after {time}", time=units.duration(median(again))))
    parts += [p for p in (_process(found, "restarts"), _process(found, "orphans")) if p]
    bad = any(one.ledger.lost or one.ledger.stuck or one.ledger.twice for one in found)
    if not bad:
        parts.insert(0, tr("all done"))
    return "\n".join(parts), "unsafe" if bad and word == "kept" else word


_COUNTS: Mapping[str, str] = {
    "lost": mark("lost {many}"),
    "stuck": mark("stuck {many}"),
    "twice": mark("twice {many}"),
    "unconfirmed": mark("unconfirmed {many}"),
}


def _counted(found: Sequence[TaskFigures], name: str, text: str) -> str:
    amounts = [_amount(one, name) for one in found]
    if not any(amounts):
        return ""
    low, high = min(amounts), max(amounts)
    return tr(text, many=str(high) if low == high else f"{low}–{high}")


def _amount(one: TaskFigures, name: str) -> int:
    if name == "unconfirmed":
        return one.ledger.attempted - one.ledger.confirmed
    return int(getattr(one.ledger, name))


def _process(found: Sequence[TaskFigures], name: str) -> str:
    most = max(getattr(one, name) for one in found)
    if not most:
        return ""
    return tr("restarted {many}", many=most) if name == "restarts" else tr("orphans {many}", many=most)


def _rows(trials: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Return the trials of each row; those under other settings of the broker follow those without."""
    backends = list(dict.fromkeys(str(trial.spec.backend) for trial in trials))
    rows: dict[str, list[TrialRecord]] = {}
    for trial in sorted(trials, key=lambda trial: backends.index(str(trial.spec.backend))):
        rows.setdefault(label(trial.spec), []).append(trial)
    return rows


def _version(found: Sequence[TaskFigures]) -> str:
    """Return the version of the framework itself; the others are in the stored result."""
    versions = next((one.versions for one in found if one.versions), {})
    return next((f"{name} {version}" for name, version in versions.items()), "Python")


def _middle(found: Sequence[TaskFigures], of: Callable[[TaskFigures], float | None]) -> float | None:
    values = [value for one in found if (value := of(one)) is not None]
    return median(values) if values else None


def _or_none(show: Callable[[float], str], value: float | None) -> str:
    return _NONE if value is None else show(value)
