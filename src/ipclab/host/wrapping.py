"""Text broken into lines at words, also Chinese text, which has no spaces between words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rich.cells import cell_len

_CLOSING = "，。、；：！？）》」』】〉”’…％"
_OPENING = "（《「『【〈“‘"
_WIDE = r"\u2e80-\u2fff\u3040-\u9fff\uf900-\ufaff\uff00-\uffef"
_UNIT = re.compile(
    rf"[{_OPENING}]*(?:(?=[^{_CLOSING}{_OPENING}])[{_WIDE}]|[^\s{_WIDE}{_CLOSING}{_OPENING}]+)"
    rf"[{_CLOSING})\]]*\s*|\S\s*|\s+"
)
"""A word with the spaces after it, or a Chinese character with the marks that may not stand apart from it."""
_PIECE = re.compile(rf"[^\s=/_-]*(?:[=/_-][{_CLOSING})]*|\s+|$)")
"""The pieces of a word that is wider than the line: up to and including ``-``, ``=``, ``/`` or ``_``."""


def units(text: str) -> list[str]:
    """Return the parts of a line between which it may be broken; joined they are the line."""
    return _UNIT.findall(text)


def pieces(text: str, width: int) -> Iterator[str]:
    """Yield the units of a line; those that are wider than ``width`` cells in smaller pieces."""
    for unit in units(text):
        yield from [unit] if cell_len(unit.rstrip()) <= width else _PIECE.findall(unit)


def wrap(text: str, width: int, indent: str = "") -> list[str]:
    """Return the text in lines of at most ``width`` cells; those after the first begin with ``indent``.

    No line begins with closing punctuation. A word is broken only where it is wider than a line.
    """
    found: list[str] = []
    for line in text.split("\n"):
        found += _wrapped(line, max(width, 4), indent)
    return found


def _wrapped(line: str, width: int, indent: str) -> Iterator[str]:
    current = ""
    for piece in pieces(line, width - len(indent)):
        if current.strip() and cell_len(current + piece.rstrip()) > width:
            yield current.rstrip()
            current = indent
        rest = piece
        while cell_len(current + rest.rstrip()) > width:
            cut = _fitting(rest, width - cell_len(current))
            yield current + rest[:cut]
            current, rest = indent, rest[cut:]
        current += rest
    yield current.rstrip()


def _fitting(text: str, width: int) -> int:
    """Return how many characters of a text fit into so many cells, at least one."""
    many = 1
    while many < len(text) and cell_len(text[: many + 1]) <= width:
        many += 1
    while 1 < many < len(text) and text[many] in _CLOSING:
        many -= 1
    return many
