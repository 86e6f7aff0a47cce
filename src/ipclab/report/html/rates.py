"""The latency of each backend by the rate that is offered: a panel for each, with its knee."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from markupsafe import Markup

from ipclab.host.texts import tr
from ipclab.report import family
from ipclab.report.html.run import Run
from ipclab.report.html.svg import axis
from ipclab.report.html.svg.element import draw, group
from ipclab.report.html.svg.label import text
from ipclab.report.html.svg.mark import curve, draw_mark, line
from ipclab.report.html.svg.picture import Picture
from ipclab.report.html.svg.scale import Log, spanning
from ipclab.results import units
from ipclab.results.sweeps import CurvePoint, RateCurve, rate_curves

_WIDTH, _HEIGHT = 380.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 58.0, 330.0, 30.0, 206.0
_DASHES = {"p50": "", "p99": "7 3"}


def pictures(run: Run) -> list[Picture]:
    """Return one panel for each backend with a curve, all with the same scales."""
    found = [one for one in rate_curves(run.result.trials) if any(p.p50_ns for p in one.points)]
    if not found:
        return []
    points = [point for one in found for point in one.points]
    across = spanning((point.rate_per_s for point in points), _LEFT, _RIGHT)
    up = spanning((ns for p in points for ns in (p.p50_ns, p.p99_ns) if ns), _BOTTOM, _TOP)
    return [_panel(run, one, number, across, up) for number, one in enumerate(found, 1)]


def _panel(run: Run, one: RateCurve, number: int, across: Log, up: Log) -> Picture:
    kind = family.of(one.name)
    name = one.way
    grid = [
        *axis.level(up, _LEFT, _RIGHT, units.duration_tick),
        *axis.upright(across, _TOP, _BOTTOM, units.rate_tick),
    ]
    title = [
        group({"class": f"fam-{kind.name}"}, [draw_mark(kind.shape, 8, 10, 4.5)]),
        text(20, 14, name, "group"),
    ]
    knee: list[Markup] = []
    if one.knee_per_s is not None:
        x = across(one.knee_per_s)
        knee = [line(x, _TOP, x, _BOTTOM, "changed"), text(x, _TOP - 4, tr("knee"), "axis", "middle")]
    lines = [
        *_line("p50", [(p.rate_per_s, p.p50_ns) for p in one.points], across, up),
        *_line("p99", [(p.rate_per_s, p.p99_ns) for p in one.points], across, up),
    ]
    said = "; ".join(_said(point) for point in one.points)
    own = group({"class": f"fam-{kind.name}"}, [draw("title", None, f"{name}: {said}"), *lines])
    return Picture(
        f"{run.name}-rates-{number}",
        _WIDTH,
        _HEIGHT,
        tr("Latency of {backend} by the rate that is offered", backend=name),
        said,
        (*grid, *knee, *title, group({"class": "row", "data-row": name}, [own])),
    )


def _line(name: str, points: Iterable[tuple[float, int | None]], across: Log, up: Log) -> Sequence[Markup]:
    """Return a line through the points that are known, with its name at the end."""
    places = [(across(rate), up(ns)) for rate, ns in points if ns is not None]
    if not places:
        return []
    x, y = places[-1]
    return [curve(places, "own", _DASHES[name]), text(x + 5, y + 4, name, "end")]


def _said(point: CurvePoint) -> str:
    times = [(name, ns) for name, ns in (("p50", point.p50_ns), ("p99", point.p99_ns)) if ns is not None]
    return f"{units.end_rate(point.rate_per_s)} " + ", ".join(f"{n} {units.duration(ns)}" for n, ns in times)
