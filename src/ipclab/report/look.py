"""How a result may be drawn where it goes: what a format may make use of."""

from __future__ import annotations

from dataclasses import dataclass

WIDTH = 120
"""Columns of text, where nothing says how many there are."""


@dataclass(frozen=True, slots=True)
class Look:
    """``width`` in columns of text; ``colour``: whether the place can show it."""

    width: int = WIDTH
    colour: bool = False
