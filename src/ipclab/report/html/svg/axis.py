"""Grids with labels along a scale. Pure."""

from __future__ import annotations

from collections.abc import Callable

from markupsafe import Markup

from ipclab.report.html.svg.label import text, width
from ipclab.report.html.svg.mark import line
from ipclab.report.html.svg.scale import Scale

FONT = 11.0
"""The size of the labels of an axis, in the units of the picture."""


def upright(scale: Scale, top: float, bottom: float, name: Callable[[float], str]) -> list[Markup]:
    """Return a line for each tick of a horizontal scale, from ``top`` to ``bottom``, with its label below.

    A label that would touch the one before it is left out; its line is drawn.
    """
    found, free_from = [], float("-inf")
    for value in scale.ticks():
        x, words = scale(value), name(value)
        found.append(line(x, top, x, bottom, "grid"))
        half = width(words, FONT) / 2
        if x - half > free_from:
            found.append(text(x, bottom + 15, words, "axis", "middle"))
            free_from = x + half + 4
    return found


def level(scale: Scale, left: float, right: float, name: Callable[[float], str]) -> list[Markup]:
    """Return a line for each tick of a vertical scale, from ``left`` to ``right``, its label to the left."""
    found = []
    for value in scale.ticks():
        y = scale(value)
        found.append(line(left, y, right, y, "grid"))
        found.append(text(left - 6, y + 4, name(value), "axis", "end"))
    return found
