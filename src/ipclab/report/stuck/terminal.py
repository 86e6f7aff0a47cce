"""A report about hanging processes as text: what hangs and why, then who only waits for that."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from itertools import groupby
from typing import assert_never

from ipclab.report.look import Look
from ipclab.stuck.finding import Ended, Examined, Finding, Looked, Report
from ipclab.stuck.waking import Why

_LABEL = 10
_LEAST_WIDTH = 50
_WHY: dict[Why, str] = {
    "no holder": "the lock is taken, and no living process holds it: nothing releases it any more",
    "rest missing": "it has received a part of a message, and no process sends the rest",
    "no answer": "it has sent a request, and the server does not work on it",
    "stopped": "a signal has stopped {by}",
    "nobody": "no other thread or process can wake it",
    "all wait": "all that can wake it stand still as well: {by}",
}


def render(found: Report, look: Look) -> str:
    """Return the report, at most as wide as the look says."""
    width = max(look.width, _LEAST_WIDTH)
    by_pid = {process.pid: process for process in found.processes}
    lines = _wrapped(_first_line(found), width)
    causes = [one for one in found.findings if one.causes]
    for one in causes or found.findings:
        lines += ["", *_finding(one, by_pid[one.pid], width)]
    if followers := [one for one in found.findings if not one.causes and causes]:
        lines += ["", "These only wait for the above:", *_rows(_follower(one) for one in followers)]
    stuck = {one.pid for one in found.findings}
    if others := [process for process in found.processes if process.pid not in stuck]:
        lines += ["", "Not stuck:", *_rows(_other(process) for process in others)]
    return "\n".join(lines) + "\n"


def _first_line(found: Report) -> str:
    looked = f"looked at {_pids(found.looked_at)}"
    stuck = _pids(sorted({one.pid for one in found.findings}))
    match found.verdict:
        case "nothing is stuck":
            return f"Nothing is stuck ({looked})"
        case "stuck":
            return f"Stuck: {stuck} ({looked})"
        case "stuck, cause unknown":
            return f"Stuck, and no known hazard fits: {stuck} ({looked})"
        case _ as never:
            assert_never(never)


def _finding(one: Finding, process: Examined, width: int) -> list[str]:
    thread = next(t for t in process.threads if t.tid == one.tid)
    named = f", thread {thread.name}" if one.tid != one.pid else ""
    lines = [f"Process {one.pid}{named}: {process.command}"[:width]]
    lines += _field("waits in", one.primitive + (f", called at {one.place}" if one.place else ""), width)
    lines += _field("because", _WHY[one.why].format(by=_pids(one.by) if one.by else "it"), width)
    for end in thread.ends:
        if words := _end(end):
            lines += _field("other end", words, width)
    for index, hazard in enumerate(one.hazards):
        lines += _field("hazard" if index == 0 else "or", f"{hazard.says} ({hazard.name})", width)
        lines += _field("read", hazard.page, width)
        lines += _field("see it", hazard.command, width)
        lines += _field("cure", hazard.cure, width)
    if not one.hazards:
        lines += _field("stack", " < ".join(frame.partition(" (")[0] for frame in thread.stack[:8]), width)
    return lines


def _end(end: Ended) -> str:
    among = (
        ", this one among them"
        if end.itself and len(end.pids) > 1
        else ", which is this one"
        if end.itself
        else ""
    )
    held = "1 process has" if len(end.pids) == 1 else f"{len(end.pids)} processes have"
    who = f"{held} {{}}: {_pids(end.pids)}{among}"
    match end.kind:
        case "pipe" | "socket":
            side = (
                "the other end"
                if end.kind == "socket"
                else f"the {'writing' if end.wants == 'read' else 'reading'} end"
            )
            return f"{end.kind} {end.key}: " + (
                who.format(side) if end.pids else f"no process here has {side}"
            )
        case "semaphore":
            return who.format("the semaphore") if end.pids else "no living process has acquired the semaphore"
        case "file":
            return who.format("the locked file open") if end.pids else ""
        case "process" | "lock" | "outside":
            return ""
        case _ as never:
            assert_never(never)


def _follower(one: Finding) -> tuple[str, str, str, str]:
    return str(one.pid), one.primitive, one.place, f"for {_pids(one.by)}" if one.by else ""


def _other(process: Examined) -> tuple[str, str, str, str]:
    if process.unread:
        return str(process.pid), process.command, "", f"its stacks cannot be read: {process.unread}"
    main = next((t for t in process.threads if t.tid == process.pid), None)
    if main is None:
        return str(process.pid), process.command, "", "no Python"
    return str(process.pid), main.primitive, main.place, _why_not(process, main)


def _why_not(process: Examined, main: Looked) -> str:
    if process.stopped:
        return "stopped by a signal; 'kill -CONT' continues it"
    if main.moved or main.call == "none":
        return "works"
    if main.timed:
        return "waits with a time limit"
    if main.role:
        return f"waits for work ({main.role})"
    pids = sorted({pid for end in main.ends for pid in end.pids if pid != process.pid})
    return f"may be woken by {_pids(pids)}" if pids else "may be woken from outside"


def _field(label: str, text: str, width: int) -> list[str]:
    return _wrapped(text, width, f"  {label:<{_LABEL}}", " " * (_LABEL + 2))


def _wrapped(text: str, width: int, first: str = "", then: str = "  ") -> list[str]:
    return textwrap.wrap(
        text,
        width,
        initial_indent=first,
        subsequent_indent=then,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _rows(rows: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the rows with aligned columns."""
    found = list(rows)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    padded = (zip(row, widths, strict=True) for row in found)
    return [("  " + "  ".join(cell.ljust(size) for cell, size in row)).rstrip() for row in padded]


def _pids(pids: Iterable[int]) -> str:
    """Return the numbers of processes; of neighbours only the first and the last."""
    parts: list[str] = []
    for _, group in groupby(enumerate(pids), key=lambda pair: pair[1] - pair[0]):
        run = [pid for _, pid in group]
        parts += [f"{run[0]}–{run[-1]}"] if len(run) > 3 else map(str, run)
    return ", ".join(parts)
