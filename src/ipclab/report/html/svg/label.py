"""Text in a picture: how wide it is, where it is broken, and how labels keep apart. Pure.

No font can be measured here, so widths are estimates on the safe side for common sans-serif fonts.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from markupsafe import Markup

from ipclab.report.html.svg.element import Attribute, draw

_NARROW = frozenset("iljtfrI.,:;'|!()[] ·-")
_WIDE = frozenset("mwMWµ%@—→")


def width(text: str, size: float) -> float:
    """Return about how wide a text is at a font size, in the same unit."""
    return sum(map(_share, text)) * size


def _share(character: str) -> float:
    if unicodedata.east_asian_width(character) in "WF":
        return 1.0
    if character in _NARROW:
        return 0.36
    return 0.9 if character in _WIDE else 0.62 if not character.isupper() else 0.72


def wrapped(text: str, room: float, size: float) -> list[str]:
    """Return the text in lines that fit into ``room``: broken at spaces, and within a word that is too wide
    for a line of its own."""
    lines = [""]
    for word in text.split(" "):
        whole = f"{lines[-1]} {word}".strip()
        if width(whole, size) <= room:
            lines[-1] = whole
            continue
        *full, rest = _pieces(word, room, size)
        lines += [*full, rest]
    return [line for line in lines if line] or [""]


def _pieces(word: str, room: float, size: float) -> list[str]:
    pieces = [""]
    for character in word:
        if pieces[-1] and width(pieces[-1] + character, size) > room:
            pieces.append("")
        pieces[-1] += character
    return pieces


def text(
    x: float, y: float, words: str, kind: str = "", anchor: str | None = None, **more: Attribute
) -> Markup:
    """Return a line of text whose baseline is at ``y``. ``kind`` is its CSS class; ``anchor`` is ``start``,
    ``middle`` or ``end``."""
    attributes = {"x": x, "y": y, "class": kind or None, "text-anchor": anchor, **more}
    return draw("text", attributes, words)


def lines_of_text(x: float, y: float, lines: Sequence[str], step: float, kind: str = "") -> list[Markup]:
    """Return lines below one another, the first with its baseline at ``y``."""
    return [text(x, y + number * step, line, kind) for number, line in enumerate(lines)]


def apart(wanted: Sequence[float], heights: Sequence[float], low: float, high: float) -> list[float]:
    """Return tops near the wanted ones, in the same order, of labels of these heights: none over another,
    and all between ``low`` and ``high``. Where they cannot all fit, they begin at ``low`` and go beyond
    ``high``.
    """
    order = sorted(range(len(wanted)), key=lambda place: (wanted[place], place))
    found = [0.0] * len(wanted)
    at = low
    for place in order:
        at = max(at, wanted[place])
        found[place] = at
        at += heights[place]
    floor = max(high, low + sum(heights))
    for place in reversed(order):
        found[place] = min(found[place], floor - heights[place])
        floor = found[place]
    return found
