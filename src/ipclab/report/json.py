"""A result as JSON, with all its data and the rows and cells that were derived from it."""

from __future__ import annotations

import msgspec

from ipclab.report.look import Look
from ipclab.report.table import ranked_rows
from ipclab.results.capacity import Capacity, capacities
from ipclab.results.encoding import encode
from ipclab.results.jobs import Answer, answers
from ipclab.results.result import Result
from ipclab.results.rows.row import Row
from ipclab.results.safety.cells import Cell, make_cells
from ipclab.results.sweeps import RateCurve, rate_curves


class Report(Result, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A result with its rows, cells, capacities, curves and answers about jobs. Reading it back gives the
    same result; all of these are derived again."""

    rows: list[Row] = msgspec.field(default_factory=list)
    cells: list[Cell] = msgspec.field(default_factory=list)
    capacities: list[Capacity] = msgspec.field(default_factory=list)
    curves: list[RateCurve] = msgspec.field(default_factory=list)
    jobs: list[Answer] = msgspec.field(default_factory=list)


def render(result: Result, _look: Look | None = None) -> str:
    """Return the whole result with its rows and cells. Raise ResultsError for an unreadable histogram."""
    fields = {name: getattr(result, name) for name in Result.__struct_fields__}
    report = Report(
        **fields,
        rows=ranked_rows(result),
        cells=make_cells(result.trials),
        capacities=capacities(result.trials),
        curves=rate_curves(result.trials),
        jobs=answers(result),
    )
    return msgspec.json.format(encode(report)).decode() + "\n"
