"""The table of capacities: a bracket for each backend, or why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from ipclab.host.texts import tr
from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import searches, units
from ipclab.results.capacity import Capacity, capacities
from ipclab.results.searches import Machine
from ipclab.results.units import NOT_APPLICABLE, WITHHELD
from ipclab.trial.record import TrialRecord
from ipclab.trial.study import Slo

_HEADS = (
    Head("#", "#", True, True, False, False),
    Head("backend and mode", "backend and mode", False, True, True, False),
    Head("n→m", "shape", False, False, False, False),
    Head("win", "window", True, False, False, False),
    Head("capacity", "capacity", False, False, True, False),
    Head("p50", "p50 at the holding rate", True, False, False, False),
    Head("p99", "p99 at the holding rate", True, False, False, False),
    Head("trials/\nvoid", "trials/void", True, False, False, False),
    Head("limit", "limit", False, False, False, False),
    Head("verdict", "verdict", False, False, False, False),
)


@dataclass(frozen=True, slots=True)
class CapacityPart:
    """What the capacity trials of a result give to its table. All of it is empty without such trials."""

    sections: tuple[Section, ...] = ()
    footnotes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    closing: str = ""


def capacity_part(trials: Sequence[TrialRecord], *, marks_taken: int = 0) -> CapacityPart:
    """Return the section, the notes and the closing sentence of the capacity trials.

    Marks begin above ``marks_taken``. Raise ResultsError for an unreadable histogram.
    """
    rows, alone = capacities(trials), searches.machine(trials)
    if not rows and alone is None:
        return CapacityPart()
    problems: list[str] = []
    blocks: dict[str, list[Line]] = {}
    for row in rows:
        mark = ""
        if row.reasons:
            problems.append(f"{row.backend} {row.shape}: {'; '.join(row.reasons)}")
            mark = units.superscript(marks_taken + len(problems))
        blocks.setdefault(row.group, []).append(_line(row, mark))
    limit = ", ".join(dict.fromkeys(in_words(Slo.parse(row.slo)) for row in rows))
    section = Section(
        tr("Capacity: the largest rate with {limit}", limit=limit),
        tuple(head.said() for head in _HEADS),
        tuple(Block(title, tuple(lines)) for title, lines in blocks.items()),
    )
    return CapacityPart((section,) if rows else (), _footnotes(rows), tuple(problems), closing(rows, alone))


def closing(rows: Sequence[Capacity], alone: Machine | None) -> str:
    """Return one sentence on how many capacities are known."""
    if alone is not None and alone.fails:
        return machine_in_words(alone)
    many = Counter("unknown" if not _is_known(row) else "bracket" if row.complete else "half" for row in rows)
    parts = [tr("{backends} with both ends", backends=units.of(many["bracket"], "backend"))]
    parts += [tr("{many} with one end", many=many["half"])] if many["half"] else []
    parts += [tr("{many} unknown", many=many["unknown"])] if many["unknown"] else []
    broken = sum(row.verdict == "broken" for row in rows)
    parts += [tr("{many} BROKE a declared guarantee", many=broken)] if broken else []
    return tr("Capacity: {parts}.", parts="; ".join(parts))


def machine_in_words(alone: Machine) -> str:
    """Return what the machine alone does, and what that means for the limit."""
    if alone.stall_ns is None:
        return tr(
            "This machine alone skips messages: {slo} cannot be told here. Try again when it is idle.",
            slo=alone.slo,
        )
    return tr(
        "This machine alone stalls {stall}: {slo} cannot be told here. Try again when it is idle.",
        stall=units.duration(alone.stall_ns),
        slo=alone.slo,
    )


def in_words(slo: Slo) -> str:
    """Return a limit as text: ``p99 ≤ 10 ms``."""
    return f"{slo.percentile} ≤ {slo.limit_ns / 1e6:g} ms"


def capacity(row: Capacity) -> str:
    """Return the capacity of a row as text: a bracket, a half of one with the reason, or ``unknown``."""
    low, high = row.low_per_s, row.high_per_s
    if row.held_above_per_s and high is not None:
        return tr(
            "not monotone: fails at {high}, holds at {held}",
            high=units.end_rate(high),
            held=units.end_rate(row.held_above_per_s[-1]),
        )
    if low is not None and high is not None:
        return units.end_rates(low, high)
    why = _why(row)
    if low is not None:
        return tr("≥ {low}; above: {why}", low=units.end_rate(low), why=why)
    if high is None:
        return why
    if row.missing == "floor":
        return f"< {units.end_rate(high)}"
    return tr("< {high}; below: {why}", high=units.end_rate(high), why=why)


def _why(row: Capacity) -> str:
    """Return why an end is missing."""
    match row.missing:
        case "others":
            if row.others_cores is None:
                return tr("unknown (what others used is not known)")
            return tr(
                "unknown (others used {used} of {cores})",
                used=units.number(row.others_cores, 2),
                cores=units.of(row.cores, "core"),
            )
        case "cap":
            return tr("not tried (1.5 × its peak)")
        case "time":
            return tr("unknown (out of time)")
        case "failed":
            return tr("unknown (no trial at the lowest rate finished)")
        case "machine":
            return tr("unknown (the machine alone does not keep the limit)")
        case "no peak":
            return tr("unknown (no stream finished)")
        case "floor" | "":
            return tr("unknown")
        case _:
            assert_never(row.missing)


def _is_known(row: Capacity) -> bool:
    return row.low_per_s is not None or row.high_per_s is not None


def _line(row: Capacity, mark: str) -> Line:
    latency = row.end_to_end
    times = [latency.p50_ns if latency else None, latency.p99_ns if latency else None]
    cells = (
        row.rank or NOT_APPLICABLE,
        row.way,
        row.shape,
        str(row.window),
        capacity(row),
        *(
            NOT_APPLICABLE if latency is None else WITHHELD if ns is None else units.duration(ns)
            for ns in times
        ),
        f"{row.tried}/{row.void}",
        row.limit,
        row.verdict + mark,
    )
    values = (None, None, None, row.window, row.low_per_s, *times, row.tried, None, None)
    return Line(cells, row.verdict, values=values)


def _footnotes(rows: Sequence[Capacity]) -> tuple[str, ...]:
    if not rows:
        return ()
    slo = Slo.parse(rows[0].slo)
    share, limit = f"{round((1 - slo.share) * 100, 3):g}%", in_words(slo).partition("≤ ")[2]
    found = [
        tr(
            "capacity  between these two rates: at the lower one, at most {share} of the messages were "
            "skipped or slower than {limit}, none was lost, and at least 95% of what was offered arrived in "
            "time; at the upper one two of three trials failed",
            share=share,
            limit=limit,
        ),
        tr(
            "trials/void  paced trials; void ones failed while other programs used more than 0.5 core, which "
            "proves nothing about the backend"
        ),
        tr("limit  what limited the backend beyond its capacity"),
    ]
    if any(row.rank for row in rows):
        found.append(
            tr(
                "#  1 + the number of brackets of the group that lie above this one as a whole; a capacity "
                "without both ends has no rank"
            )
        )
    if any(row.end_to_end and row.end_to_end.p99_ns is None for row in rows):
        found.append(
            tr(
                "{sign}  withheld: fewer than 10 samples, or 10 separate excursions, lie beyond it",
                sign=WITHHELD,
            )
        )
    return tuple(found)
