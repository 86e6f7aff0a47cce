"""The table of latency by rate: one line for each backend and rate, with the knee marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ipclab.host.texts import mark, tr
from ipclab.report.layout import Block, Head, Line, Section
from ipclab.results import units
from ipclab.results.sweeps import KNEE, CurvePoint, RateCurve, rate_curves
from ipclab.results.units import NOT_APPLICABLE, WITHHELD
from ipclab.trial.record import TrialRecord

KNEE_MARK = mark("◀ knee")
_LESSON = 2.0
"""From so many times on, the figures with and without coordinated omission are shown side by side."""
_HEADS = (
    Head("rate", "offered rate", True, True, False, False),
    Head("knee", "knee", False, False, False, False),
    Head("carried", "carried", True, False, False, False),
    Head("p50", "p50", True, False, False, False),
    Head("p99", "p99", True, False, False, False),
    Head("p99 from\nthe send", "p99 from the send", True, False, False, False),
    Head("repeats", "repeats", True, False, False, False),
    Head("limit", "limit", False, False, False, False),
)


@dataclass(frozen=True, slots=True)
class CurvePart:
    """What the trials of curves give to the table of a result. All of it is empty without such trials."""

    sections: tuple[Section, ...] = ()
    footnotes: tuple[str, ...] = ()
    closing: str = ""


def curve_part(trials: Sequence[TrialRecord]) -> CurvePart:
    """Return the section, the notes and the closing sentence. Raise ResultsError for an unreadable
    histogram."""
    found = rate_curves(trials)
    if not found:
        return CurvePart()
    blocks = tuple(
        Block(_title(curve), tuple(_line(curve, point) for point in curve.points)) for curve in found
    )
    knees = sum(curve.knee_per_s is not None for curve in found)
    return CurvePart(
        (Section(tr("Latency by rate"), tuple(head.said() for head in _HEADS), blocks),),
        _footnotes(found),
        tr("Curves: {knees} of {all} with a knee.", knees=knees, all=units.of(len(found), "backend")),
    )


def _title(curve: RateCurve) -> str:
    parts = [curve.way, curve.shape]
    parts += [tr("window {window}", window=curve.window)] if curve.window > 1 else []
    peak = curve.peak_per_s
    parts += [tr("no stream finished") if peak is None else tr("peak {rate}", rate=units.rate(peak))]
    return " · ".join(parts)


def _line(curve: RateCurve, point: CurvePoint) -> Line:
    times = (point.p50_ns, point.p99_ns, point.service_p99_ns)
    share = point.carried_share
    return Line(
        cells=(
            units.end_rate(point.rate_per_s),
            tr(KNEE_MARK) if point.rate_per_s == curve.knee_per_s else "",
            NOT_APPLICABLE if share is None else units.percent(min(share, 1.0)),
            *(WITHHELD if ns is None else units.duration(ns) for ns in times),
            str(point.repeats),
            point.limit,
        ),
        verdict="kept",
        words=(None,) * len(_HEADS),
        values=(point.rate_per_s, None, share, *times, point.repeats, None),
    )


def _footnotes(found: Sequence[RateCurve]) -> tuple[str, ...]:
    notes = [
        tr(
            "{sign}  beyond this rate the median latency is more than {times} times that at the lowest rate, "
            "or less than 95% is carried; figures are medians of the repeats",
            sign=tr(KNEE_MARK),
            times=f"{KNEE:g}",
        ),
        *_lesson(found),
    ]
    cells = [ns for c in found for p in c.points for ns in (p.p50_ns, p.p99_ns, p.service_p99_ns)]
    if None in cells:
        notes.append(
            tr(
                "{sign}  withheld: too few samples lie beyond it, or it lies among messages that never came",
                sign=WITHHELD,
            )
        )
    return tuple(notes)


def _lesson(found: Sequence[RateCurve]) -> list[str]:
    """Return what a closed loop would have shown, for the point at which it is wrong the most."""
    pairs = [
        (point.p99_ns / point.service_p99_ns, curve, point)
        for curve in found
        for point in curve.points
        if point.p99_ns is not None and point.service_p99_ns
    ]
    if not pairs:
        return []
    times, curve, point = max(pairs, key=lambda pair: pair[0])
    if times < _LESSON or point.p99_ns is None or point.service_p99_ns is None:
        return []
    return [
        tr(
            "Coordinated omission: {backend} at {rate} has p99 {due} counted from when a message was due, "
            "and {sent} counted from when it was sent. A closed loop sees only the second: it waits for the "
            "slow messages and then begins the next ones late",
            backend=curve.backend,
            rate=units.end_rate(point.rate_per_s),
            due=units.duration(point.p99_ns),
            sent=units.duration(point.service_p99_ns),
        )
    ]
