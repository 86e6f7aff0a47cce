"""docs/compare.md says what a comparison has and which figures can be limited."""

from __future__ import annotations

import typing

from ipclab.compare.comparison import Comparison, Note
from ipclab.compare.limits import COUNTS
from ipclab.compare.rules import Judgement, Why, Word
from tests.support.documents import CHECKOUT, code, section, tables

PAGE = (CHECKOUT / "docs" / "compare.md").read_text()


def test_every_field_of_the_json_is_explained() -> None:
    whole, metric = tables(section(PAGE, "JSON"))
    assert [name for row in whole[1:] for name in code(row[0])] == list(Comparison.__struct_fields__)
    assert {name for row in metric[1:] for name in code(row[0])} == set(Judgement.__struct_fields__)


def test_every_word_note_and_reason_is_named() -> None:
    for name in (*typing.get_args(Word), *typing.get_args(Note), *typing.get_args(Why)):
        assert not name or f"`{name}`" in PAGE, name


def test_every_figure_that_can_be_limited_is_named() -> None:
    (found,) = tables(section(PAGE, "Limits"))
    named = {name for row in found[1:] for name in code(row[0])}
    assert named == {"cpu", "p50", "p99", "goodput", *COUNTS}
