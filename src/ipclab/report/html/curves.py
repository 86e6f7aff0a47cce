"""How long a message is in flight: a curve of percentiles for each row, a panel for each family."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ipclab.errors import ResultsError
from ipclab.host.texts import tr
from ipclab.report import family
from ipclab.report.family import Family
from ipclab.report.html.run import Run
from ipclab.report.html.svg import axis
from ipclab.report.html.svg.element import draw, group
from ipclab.report.html.svg.label import apart, text, wrapped
from ipclab.report.html.svg.mark import curve, draw_mark, line
from ipclab.report.html.svg.picture import Picture
from ipclab.report.html.svg.scale import Log, Nines, spanning
from ipclab.results import units
from ipclab.results.rows import curves
from ipclab.results.rows.curves import Curve
from ipclab.trial.record import PERCENTILES

_WIDTH, _HEIGHT = 380.0, 270.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 232.0, 34.0, 236.0
_FONT, _STEP = 11.5, 13.0
_DASHES = ("", "7 3", "2 3", "9 3 2 3", "12 4", "4 2")
_NAMED = {0.0: "0", **{share: f"p{share * 100:g}" for share in (0.5, 0.9, 0.99, 0.999, 0.9999)}}
_LEAST_POINTS = 2


@dataclass(frozen=True, slots=True)
class Latencies:
    """``pictures`` has one per family; ``withheld`` says why a row has no curve, or a short one."""

    pictures: tuple[Picture, ...]
    withheld: tuple[str, ...]


def latencies(run: Run) -> Latencies:
    """Return the panels of a run; empty where it has no latencies. Raise ResultsError for an unreadable
    histogram."""
    try:
        found = curves.trace([row for row in run.rows if row.kind == "channel"], run.result.trials)
    except Exception as error:
        raise ResultsError(f"a latency histogram cannot be read ({type(error).__name__})") from error
    drawn = [one for one in found if len(one.points) >= _LEAST_POINTS]
    if not drawn:
        return Latencies((), tuple(_why(run, one) for one in found))
    times = [ns for one in drawn for _, ns in one.points]
    last = max(share for one in drawn for share, _ in one.points)
    most = min((share for share in (0.9, 0.99, 0.999, 0.9999) if share >= last - 1e-12), default=0.9999)
    across, up = Nines(most, _LEFT, _RIGHT), spanning(times, _BOTTOM, _TOP)
    families = family.present(one.row.name for one in drawn)
    pictures = tuple(_panel(run, one, drawn, across, up) for one in families)
    short = [one for one in found if not one.points or one.points[-1][0] < PERCENTILES["p99"]]
    return Latencies(pictures, tuple(_why(run, one) for one in short))


def _why(run: Run, one: Curve) -> str:
    label = run.label(one.row)
    if not one.points:
        return tr("{label}: no curve, as it has too few samples", label=label)
    share = one.points[-1][0]
    return tr(
        "{label}: ends at p{share:g}, as fewer than 10 samples, or 10 separate "
        "excursions, lie beyond, or what lies there never came",
        label=label,
        share=math.floor(share * 1000) / 10,
    )


def _panel(run: Run, mine: Family, drawn: Sequence[Curve], across: Nines, up: Log) -> Picture:
    own = [one for one in drawn if family.of(one.row.name) is mine]
    others = [one for one in drawn if family.of(one.row.name) is not mine]
    grey = [curve(_places(one, across, up), "other") for one in others]
    lines = [_own(run, one, number, across, up) for number, one in enumerate(own)]
    grid = [
        *axis.level(up, _LEFT, _RIGHT, units.duration_tick),
        *axis.upright(across, _TOP, _BOTTOM, lambda share: _NAMED[share]),
    ]
    title = [
        group({"class": f"fam-{mine.name}"}, [draw_mark(mine.shape, 8, 10, 4.5)]),
        text(20, 14, tr(mine.title), "group"),
    ]
    labels, bottom = _labels(run, own, across, up)
    return Picture(
        f"{run.name}-curves-{mine.name}",
        _WIDTH,
        max(_HEIGHT, bottom),
        tr("Latency of {title} at each percentile", title=tr(mine.title)),
        tr(
            "{own} of {title} on a logarithmic scale of time, over an axis on which "
            "each step has a tenth of the samples beyond it; the other families are "
            "grey.",
            own=units.of(len(own), "curve"),
            title=tr(mine.title),
        ),
        (*grid, *grey, *title, group({"class": f"fam-{mine.name}"}, [*lines, *labels])),
    )


def _own(run: Run, one: Curve, number: int, across: Nines, up: Log) -> Markup:
    said = ", ".join(
        f"p{share * 100:.4g} {units.duration(ns)}" for share, ns in one.points[:: len(one.points) // 5 or 1]
    )
    drawn = curve(_places(one, across, up), "own", _DASHES[number % len(_DASHES)])
    title = draw("title", None, f"{run.label(one.row)}: {said}")
    return group({"class": "row", "data-row": run.label(one.row)}, [title, drawn])


def _places(one: Curve, across: Nines, up: Log) -> list[tuple[float, float]]:
    return [(across(share), up(ns)) for share, ns in one.points]


def _labels(run: Run, own: Sequence[Curve], across: Nines, up: Log) -> tuple[list[Markup], float]:
    """Return a label right of the end of each curve, none over another, each led to from its end; and how far
    down they reach."""
    room = _WIDTH - _RIGHT - 16
    blocks = [wrapped(run.label(one.row), room, _FONT) for one in own]
    ends = [_places(one, across, up)[-1] for one in own]
    heights = [len(lines) * _STEP + 3 for lines in blocks]
    tops = apart([y - _STEP / 2 for _, y in ends], heights, _TOP - 8, _BOTTOM + 8)
    drawn: list[Markup] = []
    for lines, (x, y), top in zip(blocks, ends, tops, strict=True):
        drawn.append(line(x, y, _RIGHT + 10, top + _STEP / 2, "lead"))
        drawn += [text(_RIGHT + 13, top + (n + 0.8) * _STEP, words, "end") for n, words in enumerate(lines)]
    return drawn, max(top + height for top, height in zip(tops, heights, strict=True)) + 6
