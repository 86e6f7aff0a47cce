"""One run on the page: its result with the rows and the table that were derived from it."""

from __future__ import annotations

from dataclasses import dataclass

from ipclab.report import table
from ipclab.report.layout import Table
from ipclab.results.result import Result
from ipclab.results.rows.row import Row


@dataclass(frozen=True, slots=True)
class Run:
    """``folder`` is the folder of the run as the reader can name it, empty where that is not known; ``place``
    is the run's place among those of the page, from 1."""

    result: Result
    rows: tuple[Row, ...]
    table: Table
    folder: str
    place: int

    @property
    def name(self) -> str:
        """Return a name for this run that is unique on the page and fit for an id."""
        return f"run{self.place}"

    def label(self, row: Row) -> str:
        """Return the name of a row: backend, mode, and its window where windows differ."""
        windows = {other.window for other in self.rows if other.window}
        batch = f" · window {row.window}" if len(windows) > 1 and row.window and row.window > 1 else ""
        return row.way + batch

    def groups(self, *kinds: str) -> dict[str, list[Row]]:
        """Return the rows of these kinds by group, in the order of the table."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.kind in kinds:
                found.setdefault(row.group, []).append(row)
        return found


def gather(result: Result, folder: str = "", place: int = 1) -> Run:
    """Return a result with its rows and its table. Raise ResultsError for an unreadable histogram."""
    rows = table.ranked_rows(result)
    return Run(result, tuple(rows), table.make(result, rows=rows), folder, place)
