"""What a race costs and what safety costs: each discipline of shared state, the unsafe ones hollow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from ipclab.host.texts import mark, tr
from ipclab.report import family
from ipclab.report.html import signs, words
from ipclab.report.html.run import Run
from ipclab.report.html.svg import axis
from ipclab.report.html.svg.element import draw, group
from ipclab.report.html.svg.label import text, wrapped
from ipclab.report.html.svg.mark import band, draw_mark, line, tick
from ipclab.report.html.svg.picture import Picture
from ipclab.report.html.svg.scale import Linear, Log, spanning
from ipclab.results import units
from ipclab.results.rows.row import Row

_FONT, _STEP = 12.5, 15.0
_TOP = 52.0
_TITLES = {"counter": mark("A shared counter"), "register": mark("A shared register"), "lock": mark("A lock")}


@dataclass(frozen=True, slots=True)
class Frame:
    """Where the columns of the picture are."""

    width: float
    name: float
    room: float
    rate: tuple[float, float]
    lost: tuple[float, float]
    price: float
    below: float
    """How far below its name the strip of a row lies; 0 where it stands beside it."""


WIDE = Frame(1220.0, 46.0, 240.0, (310.0, 600.0), (720.0, 900.0), 1080.0, 0.0)
NARROW = Frame(360.0, 18.0, 210.0, (22.0, 150.0), (180.0, 250.0), 358.0, 18.0)


def pictures(run: Run, frame: Frame) -> list[Picture]:
    """Return a picture for each kind of shared state that the run has."""
    return [
        _picture(run, kind, title, rows, frame)
        for kind, title in _TITLES.items()
        if (rows := [row for row in run.rows if row.kind == kind])
    ]


def _picture(run: Run, kind: str, title: str, rows: Sequence[Row], frame: Frame) -> Picture:
    found = [value for row in rows if row.shared_per_s for value in row.shared_per_s.values]
    rate, share = spanning(found, *frame.rate), Linear(0.0, 1.0, *frame.lost)
    y, drawn = _TOP, []
    for name, members in _by_backend(rows).items():
        y += 30
        drawn.append(text(0, y - 8, name, "group"))
        for row in members:
            lines = wrapped(_label(run, row), frame.room, _FONT)
            height = max(22.0, _STEP * len(lines) + 7) + frame.below
            drawn.append(_row(run, row, lines, y, height, rate, share, frame))
            y += height
            drawn.append(line(0, y, frame.width - 20, y, "rule"))
    bottom = y + 8
    what = tr("updates a second") if kind == "counter" else tr("operations a second")
    heads = [
        text(rate.first, 30, what, "head"),
        text(rate.first, 44, tr("more is better →"), "axis"),
        text(share.first, 30, tr("lost") if frame.below else _harm(kind), "head"),
        text(frame.price, 30, tr("price of safety") if not frame.below else tr("price"), "head", "end"),
    ]
    if not frame.below:
        heads += [
            text(share.first, 44, tr("share of the updates") if kind == "counter" else tr("repeats"), "axis"),
            text(frame.price + 20, 30, tr("verdict"), "head"),
        ]
    grid = axis.upright(rate, _TOP, bottom, units.rate_tick)
    if kind == "counter":
        grid += axis.upright(share, _TOP, bottom, units.percent)
    width = "wide" if not frame.below else "narrow"
    return Picture(
        f"{run.name}-{kind}-{width}",
        frame.width,
        bottom + 24,
        tr("{title}: rate, loss and the price of safety", title=tr(title)),
        tr(
            "{rows}, those that declare themselves unsafe with a hollow mark. The "
            "table of all figures has the same in text.",
            rows=units.of(len(rows), "discipline"),
        ),
        (*grid, *heads, *drawn),
    )


def _harm(kind: str) -> str:
    return tr("lost updates") if kind == "counter" else tr("a race did harm in")


def _by_backend(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Return the rows by backend and load, so that a safe discipline is beside the unsafe one."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(" · ".join(filter(None, (row.name, row.load))), []).append(row)
    return {
        name: sorted(members, key=lambda row: (row.producers, row.verdict != "unsafe"))
        for name, members in found.items()
    }


def _label(run: Run, row: Row) -> str:
    several = len({other.producers for other in run.rows if other.kind == row.kind}) > 1
    return (row.mode or row.name) + (
        tr(" · {producers} processes", producers=row.producers) if several else ""
    )


def _row(
    run: Run,
    row: Row,
    lines: Sequence[str],
    top: float,
    height: float,
    rate: Log,
    share: Linear,
    frame: Frame,
) -> Markup:
    kind, sign = family.of(row.name), signs.of_word(row.verdict)
    y = top + height - 11 if frame.below else top + height / 2
    first = top + 14 if frame.below else y - _STEP * (len(lines) - 1) / 2 + 4
    hollow = row.verdict == "unsafe"
    price = units.NOT_APPLICABLE if row.safety_price is None else f"×{units.number(row.safety_price, 2)}"
    parts = [
        draw("title", None, words.sentence(f"{row.name} {_label(run, row)}", row)),
        draw_mark(kind.shape, frame.name - 12, first - 4, 4.5, hollow=hollow),
        *(text(frame.name, first + n * _STEP, said, "name") for n, said in enumerate(lines)),
        *_rate(row, y, rate, hollow=hollow),
        _said(row, y, first, rate, frame),
        *_lost(row, y, share, sign.tone),
        text(frame.price, y + 4, price, "figure", "end"),
    ]
    if not frame.below:
        parts.append(text(frame.price + 20, y + 4, f"{sign.mark} {sign.word}", f"verdict {sign.tone}"))
    return group({"class": f"row fam-{kind.name}", "data-row": f"{row.name} {row.mode}".rstrip()}, parts)


def _rate(row: Row, y: float, scale: Log, *, hollow: bool) -> list[Markup]:
    figure = row.shared_per_s
    if figure is None or not figure.median:
        return []
    shape = family.of(row.name).shape
    marks = [draw_mark(shape, scale(value), y, 3.2, hollow=hollow) for value in figure.values]
    ends = scale(min(figure.values)), scale(max(figure.values))
    return [band(*ends, y), *marks, tick(scale(figure.median), y)]


def _said(row: Row, y: float, first: float, scale: Log, frame: Frame) -> Markup:
    """Return the rate in figures: beside its strip, or on the line of the name where there is no room."""
    if frame.below:
        return text(frame.price, first, words.rate(row.shared_per_s), "figure", "end")
    return text(scale.last + 12, y + 4, words.rate(row.shared_per_s), "figure")


def _lost(row: Row, y: float, scale: Linear, tone: str) -> list[Markup]:
    """Return the share of lost updates as a bar, or in how many repeats a race did harm in words."""
    if row.updates is not None:
        share, of = row.updates.lost_share, f"{row.updates.repeats_that_lost}/{row.updates.repeats}"
        if not row.updates.lost:
            return [
                text(scale.first + 4, y + 4, tr("none in {repeats}", repeats=row.updates.repeats), "missing")
            ]
        bar = draw(
            "rect",
            {
                "x": scale.first,
                "y": y - 5,
                "width": max(scale(share) - scale.first, 1.5),
                "height": 10.0,
                "class": f"bar {tone}",
            },
        )
        return [
            bar,
            text(scale(share) + 6, y + 4, tr("{share} in {of}", share=units.percent(share), of=of), "figure"),
        ]
    if row.race is not None and row.race.trials:
        said = f"{row.race.observed}/{row.race.trials} {units.interval(row.race.low, row.race.high)}"
        return [text(scale.first, y + 4, said, "figure" if row.race.observed else "missing")]
    return [text(scale.first, y + 4, units.NOT_APPLICABLE, "missing")]
