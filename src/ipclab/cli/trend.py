"""``ipclab trend``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ipclab.cli.options import LANGUAGE, RESULTS, emit_text, output_in, spoken
from ipclab.host.language import Language
from ipclab.report.trend.formats import TREND

if TYPE_CHECKING:
    from ipclab.compare.trend import Trend
    from ipclab.results.store import Store

_TREND_HELP = """Draw the stored runs of EXPERIMENT over time: each row's medians, and what changed between
runs.

With --format csv: a line a run, in the form that Apache Otava reads to find change points.
"""


@click.command(help=_TREND_HELP)
@click.argument("experiment", default="comparison")
@output_in(TREND.names)
@LANGUAGE
@RESULTS
def trend(experiment: str, format_: str, output: Path | None, language: Language, results: Path) -> None:
    """Run ``ipclab trend``; its help is ``_TREND_HELP``."""
    from ipclab.errors import ResultsError
    from ipclab.results.store import Store

    found = gather(Store(results), experiment)
    if not found.points:
        raise ResultsError(f"there are no results of {experiment} in {results} that can be read")
    emit_text(
        lambda look: TREND.formatted(found, format_, look),
        output,
        utf_8=TREND.named(format_).utf_8,
        language=spoken(format_, language),
    )


def gather(store: Store, experiment: str) -> Trend:
    """Return the trend of the stored runs of an experiment. Tells the user of those that cannot be read."""
    from ipclab.cli.streams import say
    from ipclab.compare.digest import digest
    from ipclab.compare.trend import follow
    from ipclab.errors import ResultsError

    runs = []
    for name in store.runs():
        of, _, run = name.partition("/")
        if of != experiment:
            continue
        try:
            runs.append((run, digest(store.load(name))))
        except ResultsError as error:
            say(f"left out: {error}")
    return follow(experiment, runs)
