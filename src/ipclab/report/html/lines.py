"""Each way to carry messages in one line: aligned panels of rate, latency and CPU time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ipclab.host.texts import tr
from ipclab.report import family
from ipclab.report.html import signs, words
from ipclab.report.html.run import Run
from ipclab.report.html.svg import axis
from ipclab.report.html.svg.element import draw, group
from ipclab.report.html.svg.label import text, width, wrapped
from ipclab.report.html.svg.mark import band, draw_mark, line, tick
from ipclab.report.html.svg.picture import Picture
from ipclab.report.html.svg.scale import Log, spanning
from ipclab.results import units
from ipclab.results.rows.row import Figure, Row

_FONT = 12.5
_STEP = 15.0
_NAME_X, _NAME_ROOM = 62.0, 232.0
_WIDE, _NARROW = 1180.0, 360.0
_TOP = 52.0
_BOLD = 0.9
"""Share of a line's room that bold text may take, by the estimated width of plain text."""


@dataclass(frozen=True, slots=True)
class Panel:
    """One scale, and what it draws of a row whose middle is at a height, with a figure to its right.

    ``reading`` is the second line of the title: which way is better, and what the marks are.
    """

    title: str
    reading: str
    scale: Log
    name: Callable[[float], str]
    draw: Callable[[Row, float], list[Markup]]


def pictures(run: Run) -> list[Picture]:
    """Return the picture for a wide page first, then those for a narrow one; none where the run has no rows
    of channels."""
    groups = run.groups("channel")
    if not groups:
        return []
    rows = [row for members in groups.values() for row in members]
    wide = _panels(rows, ((310.0, 530.0), (645.0, 820.0), (905.0, 1025.0)))
    narrow = _panels(rows, ((22.0, _NARROW - 110),) * 3)
    return [_wide(run, groups, wide), *(_strips(run, groups, panel, n) for n, panel in enumerate(narrow, 1))]


def _panels(rows: Sequence[Row], places: Sequence[tuple[float, float]]) -> list[Panel]:
    """Return the panels for what these rows have, each at its place."""
    found = []
    if any(words.speed(row) for row in rows):
        what = (
            tr("goodput, messages a second")
            if any(r.goodput_per_s for r in rows)
            else tr("round trips a second")
        )
        scale = spanning((v for r in rows if (f := words.speed(r)) for v in f.values), *places[0])
        found.append(Panel(what, tr("more is better →"), scale, units.rate_tick, _rates(scale)))
    if any(words.latency(row) for row in rows):
        times = [v for r in rows if (p := words.latency(r)) for v in (p.p50_ns, p.p99_ns) if v]
        scale = spanning(times, *places[1])
        reading = tr("← less is better: ○ p50, ● p99")
        found.append(Panel(_pace(rows), reading, scale, units.duration_tick, _latencies(scale)))
    if any(row.worker_cpu_us_per_message for row in rows):
        used = [f.median for r in rows for f in _cpu(r) if f is not None]
        scale = spanning(used, *places[2])
        reading = tr("← ● workers, ○ broker")
        found.append(
            Panel(tr("CPU µs a message"), reading, scale, lambda us: units.number(us, 1), _costs(scale))
        )
    return found


def _pace(rows: Sequence[Row]) -> str:
    paces = {row.rate_per_s for row in rows if row.end_to_end and row.rate_per_s}
    if len(paces) == 1:
        return tr("latency at {rate}", rate=units.given_rate(paces.pop()))
    return tr("latency") if paces else tr("round trip")


def _cpu(row: Row) -> tuple[Figure | None, Figure | None]:
    return row.worker_cpu_us_per_message, row.broker_cpu_us_per_message if row.has_broker else None


def _rates(scale: Log) -> Callable[[Row, float], list[Markup]]:
    def draw(row: Row, y: float) -> list[Markup]:
        figure = words.speed(row)
        said = text(scale.last + 12, y + 4, words.rate(figure), "figure")
        if figure is None or not figure.median:
            return [said]
        marks = [draw_mark(family.of(row.name).shape, scale(value), y, 3.2) for value in figure.values]
        ends = scale(min(figure.values)), scale(max(figure.values))
        return [band(*ends, y), *marks, tick(scale(figure.median), y), said]

    return draw


def _latencies(scale: Log) -> Callable[[Row, float], list[Markup]]:
    def draw(row: Row, y: float) -> list[Markup]:
        found = words.latency(row)
        if found is None or found.p50_ns is None:
            why = (
                units.NOT_APPLICABLE
                if found is None
                else tr("p50 withheld {withheld}", withheld=units.WITHHELD)
            )
            return [text(scale.first, y + 4, why, "missing")]
        first = scale(found.p50_ns)
        if found.p99_ns is None:
            said = f"{units.duration(found.p50_ns)}, p99 {units.WITHHELD}"
            if first + width(said, _FONT) + 10 > scale.last + 80:
                return [draw_mark("ring", first, y), text(first - 9, y + 4, said, "missing", "end")]
            return [draw_mark("ring", first, y), text(first + 9, y + 4, said, "missing")]
        last = scale(found.p99_ns)
        drawn = [line(first, y, last, y, "reach"), draw_mark("ring", first, y), draw_mark("circle", last, y)]
        return [*drawn, text(last + 9, y + 4, units.duration(found.p99_ns), "figure")]

    return draw


def _costs(scale: Log) -> Callable[[Row, float], list[Markup]]:
    def draw(row: Row, y: float) -> list[Markup]:
        workers, broker = _cpu(row)
        if workers is None:
            return [text(scale.first, y + 4, units.NOT_APPLICABLE, "missing")]
        drawn = [draw_mark("circle", scale(workers.median), y)]
        if broker is not None:
            drawn.insert(0, draw_mark("ring", scale(broker.median), y))
            ends = scale(workers.median), scale(broker.median)
            drawn.insert(0, line(*(min(ends), y, max(ends), y), "faint"))
        both = "+".join(units.number(f.median, 2) for f in (workers, broker) if f is not None)
        return [*drawn, text(scale.last + 12, y + 4, both, "figure")]

    return draw


def _wide(run: Run, groups: Mapping[str, Sequence[Row]], panels: Sequence[Panel]) -> Picture:
    y, drawn, bands = _TOP, [], []
    for title, rows in groups.items():
        y += 26
        drawn.append(text(0, y, title, "group"))
        y += 8
        for row in rows:
            lines = wrapped(run.label(row), _NAME_ROOM, _FONT)
            height = max(22.0, _STEP * len(lines) + 7)
            drawn.append(_row(run, row, lines, y, height, panels))
            bands.append(line(0, y + height, _WIDE, y + height, "rule"))
            y += height
    bottom = y + 8
    grid = [part for p in panels for part in axis.upright(p.scale, _TOP, bottom, p.name)]
    heads = [text(p.scale.first, 30, p.title, "head") for p in panels]
    heads += [text(p.scale.first, 44, p.reading, "axis") for p in panels]
    heads += [text(1132, 30, tr("lost"), "head", "end"), text(1144, 30, tr("verdict"), "head")]
    legend = _legend(rows=[row for members in groups.values() for row in members])
    return Picture(
        f"{run.name}-lines",
        _WIDE + 40,
        bottom + 24,
        tr("Each way in one line"),
        tr(
            "{experiment}: for each of {rows} its rate in every repeat, its latency "
            "and its CPU time on logarithmic scales. The table of all figures has "
            "the same in text.",
            experiment=run.result.experiment,
            rows=units.of(len(run.rows), "row"),
        ),
        (*legend, *heads, *grid, *bands, *drawn),
    )


def _row(
    run: Run, row: Row, lines: Sequence[str], top: float, height: float, panels: Sequence[Panel]
) -> Markup:
    y = top + height / 2
    kind = family.of(row.name)
    start = y - _STEP * (len(lines) - 1) / 2 + 4
    sign = signs.of_word(row.verdict)
    parts = [
        draw("title", None, words.sentence(run.label(row), row)),
        text(30, y + 4, row.rank or units.WITHHELD if row.peers else units.NOT_APPLICABLE, "rank", "end"),
        draw_mark(kind.shape, 46, y, 4.5),
        *(text(_NAME_X, start + n * _STEP, words_, "name") for n, words_ in enumerate(lines)),
        *(part for panel in panels for part in panel.draw(row, y)),
        text(1132, y + 4, words.lost(row), "figure", "end"),
        text(1144, y + 4, f"{sign.mark} {sign.word}", f"verdict {sign.tone}"),
    ]
    return group({"class": f"row fam-{kind.name}", "data-row": run.label(row)}, parts)


def _legend(rows: Sequence[Row]) -> list[Markup]:
    drawn, x = [], 0.0
    for one in family.present(row.name for row in rows):
        drawn.append(group({"class": f"fam-{one.name}"}, [draw_mark(one.shape, x + 6, 8, 4.5)]))
        drawn.append(text(x + 16, 12, tr(one.title), "legend"))
        x += 16 + width(tr(one.title), _FONT) + 18
    return drawn


def _strips(run: Run, groups: Mapping[str, Sequence[Row]], panel: Panel, number: int) -> Picture:
    """Return one panel for a narrow page: the name of each row above its strip."""
    y, drawn = _TOP, []
    for title, rows in groups.items():
        y += 8
        for words_ in wrapped(title, _NARROW * _BOLD, _FONT):
            y += 16
            drawn.append(text(0, y, words_, "group"))
        y += 4
        for row in rows:
            drawn.append(_strip(run, row, y, panel))
            y += _STEP * len(wrapped(run.label(row), _NARROW - 100, _FONT)) + 30
    bottom = y + 4
    titles = [text(0, 16, panel.title, "head"), text(0, 32, panel.reading, "axis")]
    return Picture(
        f"{run.name}-strips{number}",
        _NARROW,
        bottom + 22,
        panel.title,
        tr("The same as in the wide picture, one scale at a time."),
        (*titles, *axis.upright(panel.scale, _TOP - 8, bottom, panel.name), *drawn),
    )


def _strip(run: Run, row: Row, top: float, panel: Panel) -> Markup:
    kind, sign = family.of(row.name), signs.of_word(row.verdict)
    lines = wrapped(run.label(row), _NARROW - 100, _FONT)
    y = top + _STEP * len(lines) + 12
    parts = [
        draw("title", None, words.sentence(run.label(row), row)),
        draw_mark(kind.shape, 6, top + 8, 4.5),
        *(text(18, top + 12 + n * _STEP, words_, "name") for n, words_ in enumerate(lines)),
        text(_NARROW, top + 12, f"{sign.mark} {sign.word}", f"verdict {sign.tone}", "end"),
        *panel.draw(row, y),
    ]
    return group({"class": f"row fam-{kind.name}", "data-row": run.label(row)}, parts)
