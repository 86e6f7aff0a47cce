"""The table of capacities: a bracket for each backend, or why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

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
        f"Capacity: the largest rate with {limit}",
        _HEADS,
        tuple(Block(title, tuple(lines)) for title, lines in blocks.items()),
    )
    return CapacityPart((section,) if rows else (), _footnotes(rows), tuple(problems), closing(rows, alone))


def closing(rows: Sequence[Capacity], alone: Machine | None) -> str:
    """Return one sentence on how many capacities are known."""
    if alone is not None and alone.fails:
        return machine_in_words(alone)
    many = Counter("unknown" if not _is_known(row) else "bracket" if row.complete else "half" for row in rows)
    parts = [f"{units.of(many['bracket'], 'backend')} with both ends"]
    parts += [f"{many['half']} with one end"] if many["half"] else []
    parts += [f"{many['unknown']} unknown"] if many["unknown"] else []
    broken = sum(row.verdict == "broken" for row in rows)
    parts += [f"{broken} BROKE a declared guarantee"] if broken else []
    return f"Capacity: {'; '.join(parts)}."


def machine_in_words(alone: Machine) -> str:
    """Return what the machine alone does, and what that means for the limit."""
    stalls = "skips messages" if alone.stall_ns is None else f"stalls {units.duration(alone.stall_ns)}"
    return f"This machine alone {stalls}: {alone.slo} cannot be told here. Try again when it is idle."


def in_words(slo: Slo) -> str:
    """Return a limit as text: ``p99 ≤ 10 ms``."""
    return f"{slo.percentile} ≤ {slo.limit_ns / 1e6:g} ms"


def capacity(row: Capacity) -> str:
    """Return the capacity of a row as text: a bracket, a half of one with the reason, or ``unknown``."""
    if row.held_above_per_s:
        held = units.end_rate(row.held_above_per_s[-1])
        failed = f"fails at {units.end_rate(row.high_per_s)}" if row.high_per_s else "fails"
        return f"not monotone: {failed}, holds at {held}"
    low, high = row.low_per_s, row.high_per_s
    if low is not None and high is not None:
        return units.end_rates(low, high)
    why = _why(row)
    if low is not None:
        return f"≥ {units.end_rate(low)}; above: {why}"
    if high is not None:
        below = "" if row.missing == "floor" else f"; below: {why}"
        return f"< {units.end_rate(high)}{below}"
    return why


def _why(row: Capacity) -> str:
    """Return why an end is missing."""
    match row.missing:
        case "others":
            used = units.number(row.others_cores or 0.0, 2)
            return f"unknown (others used {used} of {units.of(row.cores, 'core')})"
        case "cap":
            return "not tried (1.5 × its peak)"
        case "time":
            return "unknown (out of time)"
        case "failed":
            return "unknown (no trial at the lowest rate finished)"
        case "machine":
            return "unknown (the machine alone does not keep the limit)"
        case "no peak":
            return "unknown (no stream finished)"
        case "floor" | "":
            return "unknown"
        case _:
            assert_never(row.missing)


def _is_known(row: Capacity) -> bool:
    return row.low_per_s is not None or row.high_per_s is not None


def _line(row: Capacity, mark: str) -> Line:
    latency = row.end_to_end
    times = [latency.p50_ns if latency else None, latency.p99_ns if latency else None]
    cells = (
        row.rank or NOT_APPLICABLE,
        f"{row.name} {row.mode}".rstrip(),
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
    most = f"{round((1 - slo.share) * 100, 3):g}%"
    found = [
        f"capacity  between these two rates: at the lower one, at most {most} of the "
        f"messages were skipped or slower than {in_words(slo).partition('≤ ')[2]}, none was lost, and at "
        "least 95% of what was offered arrived in time; at the upper one two of three trials failed",
        "trials/void  paced trials; void ones failed while other programs used more than 0.5 core, which "
        "proves nothing about the backend",
        "limit  what limited the backend beyond its capacity",
    ]
    if any(row.rank for row in rows):
        found.append(
            "#  1 + the number of brackets of the group that lie above this one as a whole; a capacity "
            "without both ends has no rank"
        )
    if any(row.end_to_end and row.end_to_end.p99_ns is None for row in rows):
        found.append(f"{WITHHELD}  withheld: fewer than 10 samples, or 10 separate excursions, lie beyond it")
    return tuple(found)
