"""Numbers and outcomes as words of a finding."""

from __future__ import annotations

from collections.abc import Mapping


def times(count: int) -> str:
    """Return a count as words: ``twice``, ``3 times``."""
    return {0: "not at all", 1: "once", 2: "twice"}.get(count, f"{count} times")


def count(number: int, one: str, more: str) -> str:
    """Return a number with its noun: ``1 copy``, ``2 copies``."""
    return f"{number} {one if number == 1 else more}"


def came_of(hung: Mapping[str, str], name: str) -> str:
    """Return the outcome of the call that this process made: ``returned``, or ``hung in …``."""
    return f"hung in {hung[name]}" if name in hung else "returned"
