"""A counterexample as text: one lane per process, time from left to right, at most 120 columns wide.

The columns follow the order of events, not their distance in time; the exact times are listed below.
"""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.checks.verdict import Counterexample, shown, words
from ipclab.history.columns import History, Operation
from ipclab.history.format import FAULT, Name

WIDTH = 120
_LONGEST_LABEL = 26
_LONGEST_LANE = 16


def draw(history: History, counterexample: Counterexample, *, width: int = WIDTH) -> str:
    """Return the lanes, and below them every operation with its times since the first of them."""
    operations = counterexample.operations
    zero = min((op.start_ns for op in operations), default=0)
    lines = _lanes(history, counterexample, width) if operations else []
    for number, op in enumerate(operations, 1):
        end = "never ended" if op.end_ns is None else f"{_ms(op.end_ns - zero)}"
        what = f"{history.name(op.process)}: {words(op)}"
        lines.append(f"{number:>4}  {_ms(op.start_ns - zero)} – {end}  {what}{_outcome(op)}"[:width])
    for fault in counterexample.faults:
        end = (
            ""
            if fault.end_ns == fault.start_ns
            else f" – {_ms(fault.end_ns - zero)}"
            if fault.end_ns
            else " – …"
        )
        line = f"   ✕  {_ms(fault.start_ns - zero)}{end}  {FAULT}: {fault.f} {shown(fault.value)}"
        lines.append(line[:width])
    return "\n".join(lines)


def _lanes(history: History, counterexample: Counterexample, width: int) -> list[str]:
    operations = counterexample.operations
    names = {process: history.name(process)[:_LONGEST_LANE] for process in _processes(operations)}
    margin = max(len(FAULT), *(len(name) for name in names.values())) + 2
    for longest in (_LONGEST_LABEL, 14, 8, 0):
        labels = [_label(number, op, longest) for number, op in enumerate(operations, 1)]
        columns, end = _columns(counterexample, labels, margin)
        if end <= width:
            break
    else:
        return [f"({len(operations)} operations are too many to be drawn within {width} columns)"]
    lanes = {process: f"{name:<{margin}}" for process, name in names.items()}
    for i, op in sorted(enumerate(operations), key=lambda pair: columns[pair[0], 0]):
        lane = lanes[op.process]
        start, stop = columns[i, 0], columns[i, 1]
        if op.outcome in ("open", "info"):
            # It may still take effect, so its line continues until its process begins another operation.
            later = [columns[j, 0] for j, other in enumerate(operations) if other.process == op.process]
            stop = min((column for column in later if column > start), default=end) - 1
            lanes[op.process] = f"{lane:<{start}}├┄{labels[i]}".ljust(stop + 1, "┄")
        else:
            lanes[op.process] = f"{lane:<{start}}├{labels[i].center(stop - start - 1, '─')}┤"
    drawn = list(lanes.values())
    if counterexample.faults:
        lane = f"{FAULT:<{margin}}"
        for f in range(len(counterexample.faults)):
            at = max(columns[-1 - f, 0], len(lane))
            lane = f"{lane:<{at}}✕"
        drawn.append(lane)
    return [line.rstrip() for line in drawn]


def _columns(
    counterexample: Counterexample, labels: Sequence[str], margin: int
) -> tuple[dict[tuple[int, int], int], int]:
    """Return the start (0) and end (1) column of each operation (faults from -1 down), and the width."""
    events: list[tuple[float, int, int]] = []
    for i, op in enumerate(counterexample.operations):
        events.append((op.start_ns, 0, i))
        events.append((float("inf") if op.end_ns is None else op.end_ns, 1, i))
    events.extend((fault.start_ns, 0, -1 - f) for f, fault in enumerate(counterexample.faults))
    columns: dict[tuple[int, int], int] = {}
    at = margin
    for _, side, i in sorted(events):
        if side and i >= 0:
            at = max(at, columns[i, 0] + len(labels[i]) + 2)
        columns[i, side] = at
        at += 1
    return columns, at


def _label(number: int, op: Operation, longest: int) -> str:
    text = words(op)
    if len(text) > longest:
        text = f"{text[: longest - 1]}…" if longest > 6 else f"{number}"
    return f" {text} "


def _processes(operations: Sequence[Operation]) -> list[Name]:
    return list(dict.fromkeys(op.process for op in operations))


def _outcome(op: Operation) -> str:
    if op.outcome == "info":
        return " (outcome unknown)"
    return " (surely did not happen)" if op.outcome == "fail" else ""


def _ms(ns: int) -> str:
    return f"{ns / 1e6:>11.6f} ms"
