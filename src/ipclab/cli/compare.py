"""``ipclab compare``."""

from __future__ import annotations

from pathlib import Path

import click

from ipclab.cli.options import LANGUAGE, RESULTS, emit_text, output_in, spoken, writable
from ipclab.host.language import Language
from ipclab.report.comparison.formats import COMPARISON

_COMPARE_HELP = """Compare the stored results OLD and NEW, row by row and metric by metric.

Each is named as in 'ipclab show'. Runs nothing.

Exit codes: 0 nothing is worse; 1 something is worse; 2 the runs cannot be compared; 3 something is undecided.
"""


@click.command(help=_COMPARE_HELP)
@click.argument("old")
@click.argument("new", default="latest")
@output_in(COMPARISON.names)
@LANGUAGE
@RESULTS
def compare(old: str, new: str, format_: str, output: Path | None, language: Language, results: Path) -> int:
    """Run ``ipclab compare``; its help is ``_COMPARE_HELP``."""
    from ipclab.compare.comparison import compare as compared
    from ipclab.compare.digest import digest
    from ipclab.results.store import Store

    store = Store(results)
    with writable(output):
        found = compared(digest(store.load(old)), digest(store.load(new)), labels=(old, new))
    emit_text(
        lambda look: COMPARISON.formatted(found, format_, look),
        output,
        utf_8=COMPARISON.named(format_).utf_8,
        language=spoken(format_, language),
    )
    return found.exit_code
