"""Marks of one figure: the shape of a family at a place. They are drawn in ``currentColor``. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import assert_never

from markupsafe import Markup

from ipclab.report.family import Shape
from ipclab.report.html.svg.element import Attribute, draw, number


def draw_mark(shape: Shape, x: float, y: float, size: float = 4.0, *, hollow: bool = False) -> Markup:
    """Return a mark with its middle at ``(x, y)``, about twice ``size`` wide. A hollow one shows the ground
    inside."""
    kind: dict[str, Attribute] = {"class": "hollow" if hollow or shape == "ring" else "solid"}
    s = size
    match shape:
        case "circle" | "ring":
            return draw("circle", {"cx": x, "cy": y, "r": s, **kind})
        case "square":
            return draw("rect", {"x": x - s, "y": y - s, "width": 2 * s, "height": 2 * s, **kind})
        case "diamond":
            points = [(x, y - 1.3 * s), (x + 1.3 * s, y), (x, y + 1.3 * s), (x - 1.3 * s, y)]
        case "up":
            points = [(x, y - 1.2 * s), (x + 1.2 * s, y + s), (x - 1.2 * s, y + s)]
        case "down":
            points = [(x, y + 1.2 * s), (x + 1.2 * s, y - s), (x - 1.2 * s, y - s)]
        case "cross":
            t, w = 0.45 * s, 1.2 * s
            points = [(x - t, y - w), (x + t, y - w), (x + t, y - t), (x + w, y - t), (x + w, y + t)]
            points += [(x + t, y + t), (x + t, y + w), (x - t, y + w), (x - t, y + t), (x - w, y + t)]
            points += [(x - w, y - t), (x - t, y - t)]
        case _:
            assert_never(shape)
    return draw("polygon", {"points": _points(points), **kind})


def band(low: float, high: float, y: float, height: float = 7.0) -> Markup:
    """Return the range from ``low`` to ``high`` as a pale band around ``y``."""
    return draw(
        "rect",
        {
            "x": min(low, high),
            "y": y - height / 2,
            "width": max(abs(high - low), 1.0),
            "height": height,
            "rx": height / 2,
            "class": "band",
        },
    )


def tick(x: float, y: float, height: float = 14.0) -> Markup:
    """Return an upright bar across ``y``."""
    return line(x, y - height / 2, x, y + height / 2, "tick")


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Return a straight line. ``kind`` is its CSS class."""
    return draw("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def curve(points: Sequence[tuple[float, float]], kind: str, dashes: str = "") -> Markup:
    """Return a line through points. ``dashes`` is empty for a solid one."""
    attributes: dict[str, Attribute] = {
        "points": _points(points),
        "class": kind,
        "stroke-dasharray": dashes or None,
    }
    return draw("polyline", attributes)


def _points(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{number(x)},{number(y)}" for x, y in points)
