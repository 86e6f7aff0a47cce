"""docs/history-format.md and docs/safety.md say what the code does, and their examples run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ipclab.checks import check
from ipclab.checks.delivery import Ledger
from ipclab.checks.messages import COUNTS
from ipclab.cli.check import EXIT_CODES, GUARANTEES, MODELS
from ipclab.history import Header, parse
from ipclab.history.format import FUNCTIONS, Guarantee, Line
from tests.support.documents import CHECKOUT, blocks, code, tables

FORMAT = (CHECKOUT / "docs" / "history-format.md").read_text()
SAFETY = (CHECKOUT / "docs" / "safety.md").read_text()
SOURCES = [path.read_text() for path in (CHECKOUT / "src" / "ipclab" / "checks").glob("*.py")]


def table(text: str, title: str) -> list[list[str]]:
    """The rows of the tables whose first column has this title."""
    return [row for found in tables(text) if found[0][0] == title for row in found[1:]]


def test_every_field_of_a_line_is_described_and_no_other() -> None:
    described = [code(row[0])[0] for row in table(FORMAT, "field")]
    assert sorted(described) == sorted(Header.__struct_fields__ + Line.__struct_fields__)


def test_every_operation_of_every_model_is_described() -> None:
    described: dict[str, list[str]] = {}
    model = ""
    for row in table(FORMAT, "model"):
        model = code(row[0])[0] if row[0] else model
        described.setdefault(model, []).append(code(row[1])[0])
    assert {name: list(functions) for name, functions in FUNCTIONS.items()} == described


@pytest.mark.parametrize("text", blocks(FORMAT, "history"))
def test_the_histories_of_the_format_are_valid(text: str) -> None:
    assert check(parse(text.encode().splitlines(keepends=True))).verdict == "valid"


@pytest.mark.parametrize("text", blocks(FORMAT, "python"))
def test_the_program_of_the_format_runs(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(text, "history-format.md", "exec"), {})


def test_the_counterexample_that_is_shown_is_the_one_that_is_printed() -> None:
    from ipclab.cli.check import _as_text

    (text,), (output,) = blocks(SAFETY, "history"), blocks(SAFETY, "output")
    history = parse(text.encode().splitlines(keepends=True))
    assert _as_text(history, check(history)).rstrip() == output.rstrip()


def test_every_verdict_and_its_exit_code_is_described() -> None:
    described = {code(row[0])[0]: int(row[1]) for row in table(SAFETY, "verdict")}
    assert described == EXIT_CODES


def test_every_model_and_every_anomaly_is_described() -> None:
    rows = table(SAFETY, "model")
    assert sorted(code(row[0])[0] for row in rows) == sorted(FUNCTIONS)
    named = {name for source in SOURCES for name in re.findall(r'clash\(\s*"([a-z-]+)"', source)}
    named |= {"corrupted", "phantom", "lost-update", "not-linearizable"}
    assert {name for row in rows for name in code(row[3])} == named


def test_every_count_that_a_guarantee_is_held_to_is_described() -> None:
    described = {name for row in table(SAFETY, "count") for name in code(row[0])}
    assert described == set(COUNTS) - {"attempted", "confirmed", "owed", "received"}
    assert set(COUNTS) - {"lost_excused", "unacknowledged", "received_before_sent"} <= set(
        Ledger.__struct_fields__
    )


def test_the_choices_of_the_command_are_those_of_the_format() -> None:
    assert set(MODELS) == set(FUNCTIONS)
    assert set(GUARANTEES) == set(Guarantee.__args__)  # type: ignore[attr-defined]
