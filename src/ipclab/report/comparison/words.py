"""A comparison in words: its lines in the order of importance, ready for any format."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import assert_never

from ipclab.compare.comparison import Comparison, Note, RowComparison, Side
from ipclab.compare.digest import Metric
from ipclab.compare.guarantees import GuaranteeChange
from ipclab.compare.limits import Count, LimitJudgement
from ipclab.compare.rules import LEAST_REPEATS, SAME_WITHIN, Judgement, Why, Word
from ipclab.host.texts import tr
from ipclab.results import units

NAMES: dict[Metric | Count, str] = {"cpu": "CPU/message"}
"""The metrics that are shown under another name."""
_ORDER: tuple[Word, ...] = ("worse", "undecided", "better", "same")


@dataclass(frozen=True, slots=True)
class Line:
    """One row and metric. ``evidence`` says in words what the word rests on; empty for a plain ``same``.

    ``gates`` says whether the exit code depends on it.
    """

    word: Word
    row: str
    metric: str
    old: str
    new: str
    change: str
    interval: str
    visible: str
    evidence: str
    gates: bool


def lines(comparison: Comparison) -> list[Line]:
    """Return all lines, the worst first, and those that gate nothing last."""
    found = [*_limits(comparison)]
    for row in comparison.rows:
        found += _of_row(row)
    found += [_guarantee(row.row, row.guarantee) for row in comparison.added_rows]
    cells = (*comparison.cells, *comparison.added_cells)
    found += [_guarantee(cell.cell, cell.guarantee) for cell in cells]
    for gone in comparison.missing:
        reason = gone.reason or tr("the new run does not have it")
        found.append(_plain("undecided", gone.row, "row", "measured", "missing", reason))
    return sorted(found, key=lambda line: (not line.gates, _ORDER.index(line.word)))


def heading(comparison: Comparison) -> list[str]:
    """Return what was compared, and under which conditions."""
    old, new = comparison.old, comparison.new
    found = [tr("Old: {old}", old=_side(old))] if old else []
    found.append(tr("New: {new}", new=_side(new)))
    if comparison.floor_runs:
        found.append(
            tr(
                "A/A floors: from {floor_runs}; a change below a row's floor is not claimed",
                floor_runs=units.of(comparison.floor_runs, "stored run"),
            )
        )
    found += [tr("Differs: {text}", text=difference.text) for difference in comparison.differences]
    return found


def warnings(comparison: Comparison) -> list[str]:
    """Return what to beware of."""
    return [tr("WARNING: {note}", note=_note(note)) for note in comparison.notes]


def closing(comparison: Comparison) -> str:
    """Return the verdict in one line."""
    gating = [line for line in lines(comparison) if line.gates]
    counts = [(word, sum(line.word == word for line in gating)) for word in _ORDER]
    counted = ", ".join(f"{many} {word}" for word, many in counts if many) or tr("nothing was compared")
    match comparison.verdict:
        case "worse":
            said = tr("WORSE")
        case "undecided":
            said = tr("UNDECIDED, which is not passed")
        case "better" | "same":
            said = tr("NOTHING WORSE")
        case _:
            assert_never(comparison.verdict)
    return f"{said}: {counted}"


def _of_row(row: RowComparison) -> Iterator[Line]:
    yield _guarantee(row.row, row.guarantee)
    yield from (_metric(row.row, one) for one in row.metrics)
    if row.old_loss or row.new_loss:
        # The verdict gates a loss that breaks a declaration; one within it is shown.
        word: Word = "same" if row.old_loss == row.new_loss else "undecided"
        old, new = units.percent(row.old_loss), units.percent(row.new_loss)
        why = tr("shown only: whether a loss breaks the declaration stands in the verdict")
        yield _plain(word, row.row, "loss", old, new, why, gates=False)


def _guarantee(row: str, change: GuaranteeChange) -> Line:
    old = change.old or tr("not measured")
    evidence = change.detail if change.word in ("worse", "undecided") else ""
    return _plain(change.word, row, "verdict", old, change.new, evidence)


def _metric(row: str, one: Judgement) -> Line:
    change = "" if one.change is None else signed(one.change)
    interval = ""
    if one.low is not None and one.high is not None:
        interval = f"{signed(one.low)} … {signed(one.high)}"
    return Line(
        word=one.word,
        row=row,
        metric=NAMES.get(one.metric, one.metric),
        old=value(one.metric, one.old),
        new=value(one.metric, one.new),
        change=change,
        interval=interval,
        visible="" if one.visible is None else signed(_for_the_worse(one.metric, one.visible)),
        evidence=evidence_of(one),
        gates=one.gated,
    )


def evidence_of(one: Judgement) -> str:
    """Return what the word of a metric rests on."""
    parts = []
    if said := _why(one.why, one):
        parts.append(said)
    if one.word in ("worse", "better") and one.p_holm is not None:
        parts.append(tr("p = {p_holm} after Holm", p_holm=units.number(max(one.p_holm, 0.0001), 2)))
    return "; ".join(parts)


def _limits(comparison: Comparison) -> Iterator[Line]:
    words: dict[str, Word] = {"broken": "worse", "kept": "same", "undecided": "undecided"}
    for one in comparison.limits:
        interval = ""
        if one.low is not None and one.high is not None:
            interval = f"{value(one.what, one.low)} … {value(one.what, one.high)}"
        yield Line(
            word=words[one.word],
            row=one.row or tr("no row"),
            metric=tr("limit {limit}", limit=one.limit),
            old="",
            new=value(one.what, one.value),
            change="",
            interval=interval,
            visible="",
            evidence=_limit(one),
            gates=True,
        )


def _limit(one: LimitJudgement) -> str:
    if one.word == "broken":
        return tr("the limit {limit} is broken", limit=one.limit)
    if one.word == "kept":
        return ""
    if not one.row:
        return tr("no row fits the limit, or none has such a figure")
    if one.repeats < LEAST_REPEATS:
        return tr(
            "too few repeats to say: {repeats}, and {least_repeats} are the least",
            repeats=one.repeats,
            least_repeats=LEAST_REPEATS,
        )
    return tr("the interval has the limit inside")


def of_limit(one: LimitJudgement) -> str:
    """Return what became of a limit, in a sentence with the figures."""
    if not one.row:
        return f"{one.limit}: {_limit(one)}"
    figure = value(one.what, one.value)
    if one.low is not None and one.high is not None:
        figure += tr(
            ", 95 % interval {what} … {what2}", what=value(one.what, one.low), what2=value(one.what, one.high)
        )
    return f"{one.row}: {figure}: {_limit(one) or tr('the limit {limit} is kept', limit=one.limit)}"


def _why(why: Why, one: Judgement) -> str:
    match why:
        case "":
            return ""
        case "too few repeats":
            fewer = min(one.old_repeats, one.new_repeats)
            return tr(
                "too few repeats to say: {fewer}, and {least_repeats} are the least",
                fewer=fewer,
                least_repeats=LEAST_REPEATS,
            )
        case "not measured":
            return tr("not measured in the {part} run", part="old" if one.old is None else "new")
        case "not comparable":
            return tr("the broker's CPU time is known in one of the runs only")
        case "not gated":
            varies = (
                tr(": the repeats vary by {deviation}", deviation=units.percent(one.deviation))
                if one.deviation
                else ""
            )
            return tr("shown only{varies}", varies=varies)
        case "wide":
            widest = units.percent(max(math.expm1(SAME_WITHIN), one.floor or 0.0))
            return tr("the interval is too wide to say same: it must lie within ±{widest}", widest=widest)
        case "between":
            return tr(
                "a change is shown, but it is smaller than the {threshold} of a claim",
                threshold=units.percent(one.threshold),
            )
        case "not significant":
            return tr("chance alone may explain it")
        case _:
            assert_never(why)


def _plain(
    word: Word, row: str, metric: str, old: str, new: str, evidence: str, *, gates: bool = True
) -> Line:
    return Line(word, row, metric, old, new, "", "", "", evidence, gates)


def value(metric: Metric | Count, amount: float | None) -> str:
    """Return a figure of a metric with its unit."""
    if amount is None:
        return units.NOT_APPLICABLE
    if metric == "cpu":
        return units.duration(amount * 1e3, 0.0)
    if metric == "goodput":
        return units.rate(amount, 0.0)
    return units.duration(amount, 0.0) if metric in ("p50", "p99") else units.count(int(amount))


def signed(share: float) -> str:
    """Return a change with its sign: ``+12%``, ``−3.1%``."""
    if share == 0:
        return "0%"
    return f"{'+' if share > 0 else '−'}{units.number(abs(share) * 100, 2)}%"


def _for_the_worse(metric: Metric, share: float) -> float:
    return -share if metric == "goodput" else share


def _side(side: Side) -> str:
    runs = (
        tr(", the last of {runs} taken together", runs=units.of(side.runs, "stored run"))
        if side.runs > 1
        else ""
    )
    began = f"{side.began_utc[:10]} {side.began_utc[11:16]} UTC"
    return tr(
        "{label}, {began}, ipclab {ipclab}, Python {python}{runs}",
        label=side.label,
        began=began,
        ipclab=side.ipclab,
        python=side.python,
        runs=runs,
    )


def _note(note: Note) -> str:
    match note:
        case "busy old":
            return tr(
                "other programs used the machine during the old run; figures vary more than they need to"
            )
        case "busy new":
            return tr(
                "other programs used the machine during the new run; figures vary more than they need to"
            )
        case "partial old":
            return tr("the old run was interrupted")
        case "partial new":
            return tr("the new run was interrupted")
        case "few baselines":
            return tr("fewer than 5 stored runs: there is no floor yet, so speed is shown and cannot fail")
        case "no baseline":
            return tr("there is no stored run yet: only declarations and limits can fail")
        case "sequential":
            return tr(
                "the runs were one after the other, so a change of the machine shows as "
                "a change of the code; 'ipclab gate --against' runs both in turns"
            )
        case _:
            assert_never(note)
