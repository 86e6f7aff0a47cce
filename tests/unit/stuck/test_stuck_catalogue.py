"""The hazards that ``ipclab hang`` names are those of the documentation."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipclab.stuck.catalogue import HAZARDS, Hazard

PAGE = Path(__file__).parents[3] / "docs" / "hazards.md"


def rows_of(anchor: str) -> list[str]:
    """The rows of the table under the heading of this anchor."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    sections = dict(zip(parts[1::2], parts[2::2], strict=True))
    named = {title.lower().replace(" ", "-"): text for title, text in sections.items()}
    return [line for line in named[anchor].splitlines() if line.startswith("| ")]


@pytest.mark.parametrize("hazard", HAZARDS.values(), ids=HAZARDS)
def test_a_hazard_is_described_where_its_link_leads_with_the_command_that_shows_it(hazard: Hazard) -> None:
    assert any(f"`{hazard.command}`" in row for row in rows_of(hazard.page))
