"""A run of claims as text: one table, or a card for a single claim."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Literal

from ipclab.claims import words
from ipclab.claims.outcome import Conditions, Outcome, Run
from ipclab.claims.words import (
    HEADER,
    conditions_line,
    key_rows,
    row_line,
    say,
    state_line,
)
from ipclab.host.language import Language
from ipclab.host.wrapping import wrap

_SHARES = (22, 26, 36, 30)
"""The widths of the columns after the number, relative to each other."""
_NUMBER, _BETWEEN = 2, 3
_LEAST = 100
"""Cells that a table needs; where there are fewer, each claim is shown as a short card."""
_STYLES = {"holds": "green", "refuted": "red", "holds when": "yellow"}


def make_table(run: Run, language: Language, *, width: int, colour: bool) -> str:
    """Return a row for each claim, and the conditions of the run under it."""
    if width < _LEAST:
        cards = [make_short(outcome, language, width=width) for outcome in run.outcomes]
        return "\n\n".join([*cards, "\n".join(wrap(conditions_line(run.conditions, language), width))])
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text as Cell

    console = Console(file=io.StringIO(), width=width, force_terminal=colour, highlight=False)
    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, leading=1)
    room = width - _NUMBER - _BETWEEN * len(_SHARES)
    widths = [_NUMBER, *(room * share // sum(_SHARES) for share in _SHARES)]
    for title, cells in zip(HEADER, widths, strict=True):
        justify: Literal["left", "right"] = "right" if title is HEADER[0] else "left"
        drawn.add_column(say(title, language), justify=justify, width=cells, no_wrap=True)
    for outcome in run.outcomes:
        style = _STYLES[outcome.verdict.kind] if outcome.verdict else "magenta"
        texts = ["\n".join(wrap(*cell)) for cell in zip(_cells(outcome, language), widths, strict=True)]
        drawn.add_row(*(Cell(text, style=style if n == 2 else "") for n, text in enumerate(texts)))
    console.print(drawn)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    return "\n".join([*lines, "", *wrap(conditions_line(run.conditions, language), width)])


def make_markdown(run: Run, language: Language) -> str:
    """Return the same table as Markdown."""
    header = [say(title, language) for title in HEADER]
    lines = [markdown_row(header), markdown_row(["--:", *["---"] * (len(header) - 1)])]
    lines += [markdown_row(_cells(outcome, language, mark="**", newline="<br>")) for outcome in run.outcomes]
    return "\n".join([*lines, "", conditions_line(run.conditions, language)])


def make_short(outcome: Outcome, language: Language, *, width: int) -> str:
    """Return one claim with the evidence of the table, for a narrow screen."""
    number, statement, verdict, evidence, practice = _cells(outcome, language)
    colon = "：" if language == "zh" else ": "
    parts = (("→ ", verdict), ("  ", evidence), ("  ", f"{say(words.PRACTICE, language)}{colon}{practice}"))
    lines = wrap(f"{number}. {statement}", width, "   ")
    for mark, text in parts:
        lines += [line for one in text.splitlines() for line in wrap(f"{mark}{one}", width, "  ")]
    return "\n".join(lines)


def make_card(outcome: Outcome, conditions: Conditions, language: Language, *, width: int = 120) -> str:
    """Return one claim with all of its evidence under labels, for a screen of this width."""
    rows = [row_line(row, language) for row in outcome.rows]
    failure = outcome.reason if outcome.state == "failed" else ""
    parts = (
        (words.EVIDENCE, [*rows, *failure.splitlines()]),
        (words.VERDICT, [state_line(outcome, language)]),
        (words.PRACTICE, [say(outcome.practice, language)]),
        (words.CONDITIONS, [conditions_line(conditions, language)]),
    )
    found = []
    for label, lines in parts:
        if lines:
            shown = [part for line in lines for part in wrap(f"  {line}", width, "    ")]
            found.append("\n".join([say(label, language), *shown]))
    return "\n\n".join(found)


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
