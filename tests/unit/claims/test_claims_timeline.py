"""The lines of a timeline are broken at words, below what happened."""

from __future__ import annotations

import pytest

from ipclab.claims.timeline import Event, broken, line

LONG = line(
    Event(1.234, "spawn 1", "the process has changed its own copy of the number; the others see the old one")
)


@pytest.mark.parametrize("columns", [40, 60, 80])
def test_a_line_that_is_too_wide_is_broken_at_words(columns: int) -> None:
    lines = broken(LONG, columns).splitlines()
    assert len(lines) > 1
    assert all(len(part) <= columns for part in lines)
    assert " ".join(" ".join(lines).split()) == " ".join(LONG.split())
    assert all(part.startswith("   ") for part in lines[1:])


def test_a_line_is_left_as_it_is_where_it_fits_or_no_width_is_known() -> None:
    assert broken(LONG, 0) == broken(LONG, 200) == LONG
