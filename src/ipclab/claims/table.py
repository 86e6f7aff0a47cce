"""A run of claims as text: one table, or a card for a single claim."""

from __future__ import annotations

import io
from collections.abc import Sequence

from ipclab.claims.outcome import Conditions, Outcome, Run
from ipclab.claims.words import (
    HEADER,
    Language,
    conditions_line,
    key_rows,
    row_line,
    say,
    state_line,
)

_SHARES = (3, 22, 26, 36, 30)
_STYLES = {"holds": "green", "refuted": "red", "holds when": "yellow"}


def make_table(run: Run, language: Language, *, width: int, colour: bool) -> str:
    """Return a row for each claim, and the conditions of the run under it."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Cell

    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=True, leading=1)
    drawn.add_column(say(HEADER[0], language), justify="right", no_wrap=True, width=2)
    for title, share in zip(HEADER[1:], _SHARES[1:], strict=True):
        drawn.add_column(say(title, language), ratio=share, overflow="fold")
    for outcome in run.outcomes:
        style = _STYLES[outcome.verdict.kind] if outcome.verdict else "magenta"
        cells = _cells(outcome, language)
        drawn.add_row(*(Cell(cell, style=style if n == 2 else "") for n, cell in enumerate(cells)))
    console.print(drawn)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    return "\n".join([*lines, "", conditions_line(run.conditions, language)])


def make_markdown(run: Run, language: Language) -> str:
    """Return the same table as Markdown."""
    header = [say(title, language) for title in HEADER]
    lines = [markdown_row(header), markdown_row(["--:", *["---"] * (len(header) - 1)])]
    lines += [markdown_row(_cells(outcome, language, mark="**", newline="<br>")) for outcome in run.outcomes]
    return "\n".join([*lines, "", conditions_line(run.conditions, language)])


def make_card(outcome: Outcome, conditions: Conditions, language: Language) -> str:
    """Return one claim with all of its evidence, for a screen."""
    rows = [f"  {row_line(row, language)}" for row in outcome.rows]
    failure = outcome.reason if outcome.state == "failed" else ""
    practice = say(outcome.practice, language)
    practice = f"实践中：{practice}" if language == "zh" else f"In practice: {practice}"
    parts = ["\n".join(rows), failure, f"→ {state_line(outcome, language)}", practice]
    return "\n\n".join([part for part in parts if part] + [conditions_line(conditions, language)])


def _cells(outcome: Outcome, language: Language, mark: str = "", newline: str = "\n") -> list[str]:
    return [
        str(outcome.number),
        say(outcome.statement, language),
        state_line(outcome, language, mark),
        newline.join(row_line(row, language) for row in key_rows(outcome.rows)),
        say(outcome.practice, language),
    ]


def markdown_row(cells: Sequence[str]) -> str:
    """Return a row of a table in Markdown."""
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
