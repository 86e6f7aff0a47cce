"""Guarantees gate without statistics."""

from __future__ import annotations

from typing import Any

import pytest

from ipclab.compare import comparison, guarantees
from ipclab.exit_codes import ExitCode
from tests.support.digests import cell, row, run, sample


def one_row(verdict: Any, **fields: Any) -> Any:
    return row("pipe", {"cpu": sample(1, 0.02)}, verdict=verdict, **fields)


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("kept", "kept", "same"),
        ("kept", "broken", "worse"),
        ("kept", "hung", "worse"),
        ("kept", "failed", "worse"),
        ("hung", "broken", "worse"),
        ("unsafe", "broken", "worse"),
        ("unknown", "broken", "worse"),
        ("kept", "unknown", "undecided"),
        ("unknown", "unknown", "undecided"),
        ("broken", "kept", "better"),
        ("hung", "kept", "better"),
        ("broken", "broken", "same"),
        ("unsafe", "unsafe", "same"),
        ("unknown", "kept", "same"),
    ],
)
def test_the_verdict_of_a_row_decides(old: Any, new: Any, word: str) -> None:
    assert guarantees.of_row(one_row(old), one_row(new)).word == word


def test_a_safe_discipline_that_now_loses_updates_is_worse() -> None:
    now = one_row("unsafe", counts={"lost": 3})
    assert guarantees.of_row(one_row("kept"), now).word == "worse"


@pytest.mark.parametrize(("verdict", "word"), [("kept", "same"), ("unsafe", "same"), ("broken", "worse")])
def test_a_new_row_is_judged_by_its_declaration(verdict: Any, word: str) -> None:
    assert guarantees.of_row(None, one_row(verdict)).word == word


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        (cell("kept", kept=5), cell("broken"), "worse"),
        (cell("kept", kept=5), cell("hung"), "worse"),
        (cell("declared"), cell("stopped"), "worse"),
        (cell("kept", kept=5), cell("declared", kept=0), "worse"),
        (cell("kept", kept=5), cell("declared", kept=2), "undecided"),
        (cell("kept", trials=1, kept=1), cell("declared", trials=1), "undecided"),
        (cell("declared"), cell("kept", kept=5), "better"),
        (cell("declared"), cell("declared", kept=3), "same"),
        (cell("kept", kept=5), cell("unknown"), "undecided"),
        (cell("kept", kept=5), cell("refused"), "undecided"),
        (None, cell("broken"), "worse"),
    ],
)
def test_a_fault_cell_that_got_worse_is_worse(old: Any, new: Any, word: str) -> None:
    assert guarantees.of_cell(old, new).word == word


def test_a_row_that_broke_ends_a_gate_with_1_although_it_got_faster() -> None:
    fast = {"cpu": [value / 3 for value in sample(2, 0.02)]}
    old, new = run(one_row("kept")), run(row("pipe", fast, verdict="broken", reasons=["lost 7"]))
    found = comparison.compare(old, new)
    assert found.rows[0].metrics[0].word == "better"
    assert (found.verdict, found.exit_code) == ("worse", ExitCode.BROKEN)


def test_a_fault_cell_that_got_worse_ends_a_gate_with_1() -> None:
    old, new = run(cells=[cell("kept", kept=5)]), run(cells=[cell("hung")])
    assert comparison.compare(old, new).exit_code == ExitCode.BROKEN
