"""``ipclab compare``."""

from __future__ import annotations

from pathlib import Path

import click

from ipclab.cli.options import RESULTS, emit_text, output_in, writable
from ipclab.report.comparison.formats import COMPARISON

_COMPARE_HELP = """Compare the stored results OLD and NEW, row by row and metric by metric.

Each is named as in 'ipclab show'. Runs nothing.

Exit codes: 0 nothing is worse; 1 something is worse; 2 the runs cannot be compared; 3 something is undecided.
"""


@click.command(help=_COMPARE_HELP)
@click.argument("old")
@click.argument("new", default="latest")
@output_in(COMPARISON.names)
@RESULTS
def compare(old: str, new: str, format_: str, output: Path | None, results: Path) -> int:
    """Run ``ipclab compare``; its help is ``_COMPARE_HELP``."""
    from ipclab.compare.comparison import compare as compared
    from ipclab.compare.digest import digest
    from ipclab.results.store import Store

    store = Store(results)
    with writable(output):
        found = compared(digest(store.load(old)), digest(store.load(new)), labels=(old, new))
    emit_text(
        lambda look: COMPARISON.formatted(found, format_, look), output, utf_8=COMPARISON.named(format_).utf_8
    )
    return found.exit_code
