"""The sign and the CSS class of each verdict, so that none is told by its colour alone. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from ipclab.results.safety.cells import CellVerdict
from ipclab.results.verdict import Word


@dataclass(frozen=True, slots=True)
class Sign:
    """``mark`` is one character, ``word`` what is written beside it, ``tone`` the CSS class."""

    mark: str
    word: str
    tone: str


def of_word(word: Word) -> Sign:
    """Return the sign of a row's verdict."""
    match word:
        case "kept":
            return Sign("✓", word, "good")
        case "unsafe":
            return Sign("◇", word, "mild")
        case "unknown":
            return Sign("?", word, "doubt")
        case "failed":
            return Sign("!", word, "bad")
        case "hung":
            return Sign("■", word, "worse")
        case "broken":
            return Sign("✕", word, "worst")
        case "unavailable":
            return Sign("–", word, "none")
        case _:
            assert_never(word)


def of_cell(verdict: CellVerdict) -> Sign:
    """Return the sign of a cell of the fault matrix."""
    match verdict:
        case "refused":
            return Sign("–", "not carried out", "none")
        case "kept":
            return Sign("✓", "kept", "good")
        case "declared":
            return Sign("◇", "as declared", "mild")
        case "unknown":
            return Sign("?", "unknown", "doubt")
        case "stopped":
            return Sign("!", "stopped", "bad")
        case "failed":
            return Sign("!", "failed", "bad")
        case "hung":
            return Sign("■", "hung", "worse")
        case "broken":
            return Sign("✕", "BROKEN", "worst")
        case _:
            assert_never(verdict)
