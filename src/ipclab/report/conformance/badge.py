"""The badge of a backend: a small SVG of its own, for the page of a project. Draws without any network."""

from __future__ import annotations

from ipclab.conform.outcome import Word, by_promise
from ipclab.report.conformance.shown import Shown
from ipclab.report.conformance.words import counts
from ipclab.report.html.svg.element import draw
from ipclab.results import units

LABEL = "ipclab"
COLOURS: dict[Word, str] = {"kept": "#2D7D46", "undecided": "#8A6100", "broken": "#B3261E"}
_HEIGHT = 20.0
_CHARACTER = 6.6
_MARGIN = 6.0
_FONT = "Verdana, DejaVu Sans, sans-serif"


def message(shown: Shown) -> tuple[Word, str]:
    """Return the verdict and the text of the badge: ``2 of 24 promises broken``, ``24 promises kept``."""
    promises = by_promise(shown.conformance.outcomes)
    found = counts(promises)
    for word, many in found.items():
        if word != "kept":
            return word, f"{many} of {units.of(len(promises), 'promise')} {word}"
    return ("kept", f"{units.of(len(promises), 'promise')} kept") if promises else ("undecided", "unchecked")


def render(shown: Shown) -> str:
    """Return the badge as a file of SVG."""
    word, text = message(shown)
    left, right = (len(part) * _CHARACTER + 2 * _MARGIN for part in (LABEL, text))
    title = f"{LABEL}: {', '.join(shown.conformance.backends)}: {text}"
    return (
        str(
            draw(
                "svg",
                {
                    "xmlns": "http://www.w3.org/2000/svg",
                    "width": left + right,
                    "height": _HEIGHT,
                    "role": "img",
                    "aria-label": title,
                },
                draw("title", None, title),
                draw("rect", {"width": left, "height": _HEIGHT, "fill": "#3B3F45"}),
                draw("rect", {"x": left, "width": right, "height": _HEIGHT, "fill": COLOURS[word]}),
                _text(LABEL, _MARGIN, left - 2 * _MARGIN),
                _text(text, left + _MARGIN, right - 2 * _MARGIN),
            )
        )
        + "\n"
    )


def _text(words: str, x: float, length: float) -> str:
    return draw(
        "text",
        {"x": x, "y": 14.0, "fill": "#FFFFFF", "font-family": _FONT, "font-size": 11.0, "textLength": length},
        words,
    )
