"""The page about the page says what the code does."""

from __future__ import annotations

import typing

from ipclab.report.family import FAMILIES
from ipclab.report.html import signs
from ipclab.results.safety.cells import CellVerdict
from ipclab.results.units import NOT_APPLICABLE, WITHHELD
from ipclab.results.verdict import Word
from tests.support.documents import CHECKOUT, section, tables

PAGE = (CHECKOUT / "docs" / "report.md").read_text(encoding="utf-8")


def test_the_families_are_those_of_the_code() -> None:
    (found,) = tables(section(PAGE, "Families"))
    assert found[1:] == [[one.title, one.sign, f"`{one.light}`", f"`{one.dark}`"] for one in FAMILIES]


def test_every_sign_of_the_page_is_explained() -> None:
    signs_of_code = {signs.of_word(word).mark for word in typing.get_args(Word)}
    signs_of_code |= {signs.of_cell(verdict).mark for verdict in typing.get_args(CellVerdict)}
    explained = {row[0] for row in tables(section(PAGE, "What is on the page"))[0][1:]}
    assert explained == signs_of_code | {NOT_APPLICABLE, WITHHELD}


def test_a_cell_has_the_sign_of_a_row_with_the_same_verdict() -> None:
    for verdict in ("kept", "unknown", "failed", "hung", "broken"):
        row, cell = signs.of_word(verdict), signs.of_cell(verdict)  # type: ignore[arg-type]
        assert (row.mark, row.tone) == (cell.mark, cell.tone)
