"""A verdict as one page: the decision, and the operations around the counterexample as inline SVG.

The file refers to nothing outside of itself. It has one lane per process; the horizontal axis is the order of
events, with their times above it. The page opens on the clash, by the focus and without a script.
"""

from __future__ import annotations

import html
from collections.abc import Sequence

from ipclab.checks.verdict import Verdict, shown, words
from ipclab.history.columns import Fault, History, Operation
from ipclab.history.format import FAULT, Name
from ipclab.host.text import escaped

MOST_OPERATIONS = 400
_LANE = 44
_BAR = 26
_STEP = 22
_LETTER = 7
_MARGIN = 150
_AXIS = 26
_LABEL = 84
"""The room of the label of a time."""
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --ground: #fff; --edge: #d0d7de; --good: #1a5c2e;
 --bad: #a40e26; --doubt: #7d4e00; --op: #eaeef2; --clash: #ffd7d5; --fault: #fff1c2; --soft: #57606a }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --ground: #0f1419; --edge: #313b48;
 --good: #a8dcb5; --bad: #ff8a80; --doubt: #f0cf7a; --op: #242d38; --clash: #5a2024; --fault: #4a3c12;
 --soft: #9aa5b1 } }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; color: var(--ink); background: var(--ground) }
h1 { font-size: 1.4rem } .valid { color: var(--good) } .invalid { color: var(--bad) }
.unknown { color: var(--doubt) } .scroll { overflow-x: auto; border: 1px solid var(--edge) }
svg text { font: 12px ui-monospace, monospace; fill: var(--ink) } svg text.time { fill: var(--soft) }
.lane, .moment { stroke: var(--edge) } .op { fill: var(--op); stroke: var(--soft) }
.clash { fill: var(--clash); stroke: var(--bad) } .open { stroke-dasharray: 4 3 }
.fault { fill: var(--fault); stroke: var(--doubt) }
:focus { outline: 3px solid var(--bad); outline-offset: 2px }
table { border-collapse: collapse } td, th { padding: .2rem .8rem .2rem 0; text-align: left }
"""


def draw_page(history: History, verdict: Verdict) -> str:
    """Return the page, as HTML."""
    clash = verdict.counterexample.operations if verdict.counterexample is not None else ()
    around, faults = _around(history, clash)
    names = (history.header.title, history.header.backend)
    title = f"{verdict.verdict}: {' · '.join(dict.fromkeys(filter(None, names))) or verdict.model}"
    facts = [
        *([("backend", history.header.backend)] if history.header.backend else []),
        ("model", f"{verdict.model}, decided by {' and '.join(verdict.methods)}"),
        ("operations", f"{verdict.operations} on {verdict.keys} key{'s' * (verdict.keys != 1)}"),
        ("faults", str(verdict.faults)),
        *((name, f"{count} found") for name, count in verdict.anomalies.items()),
        *((name.replace("_", " "), str(count)) for name, count in verdict.counts.items()),
        *(("note", note) for note in verdict.notes),
    ]
    rows = "".join(f"<tr><th>{_e(name)}</th><td>{_e(text)}</td></tr>" for name, text in facts)
    shown_of = f"{len(around)} of {len(history)} operations are shown" if len(around) < len(history) else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{_e(title)}</title><style>{_STYLE}</style></head><body>\n"
        f'<h1 class="{verdict.verdict}">{_e(title)}</h1><p>{_e(verdict.reason)}</p>\n'
        f'<div class="scroll">{_svg(history, around, faults, clash)}</div>\n'
        f"<p>{_e(shown_of)}</p><table>{rows}</table></body></html>\n"
    )


def _around(history: History, clash: Sequence[Operation]) -> tuple[list[Operation], list[Fault]]:
    """Return the operations of the counterexample's key and time, and the faults; the first of them where
    there are many, but all that clash.
    """
    if not clash:
        some = [history.operation(i) for i in range(min(len(history), MOST_OPERATIONS))]
        return some, history.faults[:MOST_OPERATIONS]
    first = min(op.start_ns for op in clash)
    last = max(op.end_ns if op.end_ns is not None else op.start_ns for op in clash)
    key = history.keys.index(clash[0].key)
    near = (history.start <= last) & (history.end >= first) & (history.key == key)
    places = near.nonzero()[0][:MOST_OPERATIONS]
    found = [history.operation(int(i)) for i in places]
    found.extend(op for op in clash if op not in found)
    faults = [f for f in history.faults if f.start_ns <= last and (f.end_ns is None or f.end_ns >= first)]
    return found, faults[:MOST_OPERATIONS]


def _svg(
    history: History, operations: Sequence[Operation], faults: Sequence[Fault], clash: Sequence[Operation]
) -> str:
    place = _places(operations, faults)
    right = max(place.values(), default=0)
    lanes: list[Name] = sorted({op.process for op in operations}, key=lambda p: (isinstance(p, str), p))
    rows = {process: i for i, process in enumerate(lanes)}
    width, height = right + 100, _AXIS + _LANE * (len(lanes) + bool(faults)) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" role="group"'
        f' aria-label="operations, one lane a process">',
        *_axis(place, height),
    ]
    focus = min(clash, key=lambda op: op.start_ns, default=None)
    for process, row in rows.items():
        parts.append(_lane(row, history.name(process), width))
    for op in operations:
        left = place[op.start_ns, 0]
        is_open = op.outcome in ("open", "info") or op.end_ns is None
        stop = right + 40 if is_open or op.end_ns is None else place[op.end_ns, 1]
        kind = f"{'clash' if op in clash else 'op'}{' open' if is_open else ''}"
        tip = f"{history.name(op.process)}: {words(op)}, {op.start_ns} – {op.end_ns or '…'} ns, {op.outcome}"
        parts.append(_bar(rows[op.process], left, stop, kind, words(op), tip, focus=op == focus))
    if faults:
        parts.append(_lane(len(lanes), FAULT, width))
        for fault in faults:
            left = place[fault.start_ns, 0]
            stop = right + 40 if fault.end_ns is None else max(place[fault.end_ns, 1], left + 12)
            text = f"{fault.f} {shown(fault.value)}"
            parts.append(_bar(len(lanes), left, stop, "fault", text, text))
    return "".join([*parts, "</svg>"])


def _places(operations: Sequence[Operation], faults: Sequence[Fault]) -> dict[tuple[int, int], int]:
    """Return the horizontal position of each time, so that every label has room."""
    events: set[tuple[int, int]] = set()
    begun: dict[tuple[int, int], list[tuple[int, int]]] = {}
    spans = [(op.start_ns, op.end_ns, words(op)) for op in operations]
    spans += [(f.start_ns, f.end_ns, f"{f.f} {shown(f.value)}") for f in faults]
    for start, end, text in spans:
        events.add((start, 0))
        if end is not None:
            events.add((end, 1))
            begun.setdefault((end, 1), []).append((start, len(text) * _LETTER + 12))
    place: dict[tuple[int, int], int] = {}
    at = _MARGIN
    for event in sorted(events):
        for start, room in begun.get(event, ()):
            at = max(at, place[start, 0] + room)
        place[event] = at
        at += _STEP
    return place


def _axis(place: dict[tuple[int, int], int], height: int) -> list[str]:
    """Return the times of events above them, since the first one; none over another."""
    zero = min((at_ns for at_ns, _ in place), default=0)
    parts, free_from = [], 0
    for (at_ns, _), x in sorted(place.items(), key=lambda item: item[1]):
        if x >= free_from:
            parts.append(f'<line class="moment" x1="{x}" y1="{_AXIS - 6}" x2="{x}" y2="{height}"/>')
            parts.append(f'<text class="time" x="{x}" y="14">{(at_ns - zero) / 1e6:.3f} ms</text>')
            free_from = x + _LABEL
    return parts


def _lane(row: int, name: str, width: int) -> str:
    y = _AXIS + row * _LANE + _LANE // 2 + 5
    line = f'<line class="lane" x1="{_MARGIN - 10}" y1="{y}" x2="{width}" y2="{y}"/>'
    return f'<text x="8" y="{y + 4}">{_e(name[:18])}</text>{line}'


def _bar(row: int, left: int, stop: int, kind: str, text: str, tip: str, *, focus: bool = False) -> str:
    """Return an operation or a fault; the page scrolls to the one that has the ``focus``."""
    begin = '<g tabindex="0" autofocus="">' if focus else "<g>"
    top = _AXIS + row * _LANE + (_LANE - _BAR) // 2 + 5
    return (
        f'{begin}<title>{_e(tip)}</title><rect class="{kind}" x="{left}" y="{top}" rx="3"'
        f' width="{stop - left}" height="{_BAR}"/><text x="{left + 6}" y="{top + 17}">{_e(text)}</text></g>'
    )


def _e(text: str) -> str:
    """Return text of a history for HTML, without markup and without characters that steer a terminal."""
    return html.escape(escaped(text), quote=True)
