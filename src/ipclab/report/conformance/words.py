"""The counts of a conformance report in words."""

from __future__ import annotations

from collections.abc import Sequence

from ipclab.conform.outcome import Kept, Word, by_promise
from ipclab.report.conformance.shown import Shown
from ipclab.results import units


def counts(promises: Sequence[Kept]) -> dict[Word, int]:
    """Return how many promises have each verdict, without those that are 0, the worst first."""
    words: tuple[Word, ...] = ("broken", "undecided", "kept")
    found = {word: sum(one.verdict == word for one in promises) for word in words}
    return {word: many for word, many in found.items() if many}


def summary(shown: Shown) -> str:
    """Return the verdict in one line: ``24 promises: 1 broken, 23 kept``."""
    promises = by_promise(shown.conformance.outcomes)
    parts = ", ".join(f"{many} {word}" for word, many in counts(promises).items())
    return f"{units.of(len(promises), 'promise')}: {parts or 'none was checked'}"
