"""How a result may be drawn at its destination: what a format may use."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 120
"""The width in columns of text where the destination has none."""


@dataclass(frozen=True, slots=True)
class Look:
    """``width`` in columns of text; ``colour``: whether the destination can show it; ``notes``: whether
    footnotes are wanted; ``brief``: whether only the best rows are wanted; ``folder``: the folder of the run,
    as the reader can name it, empty where that is not known."""

    width: int = WIDTH
    colour: bool = False
    notes: bool = True
    brief: bool = False
    folder: str = ""
