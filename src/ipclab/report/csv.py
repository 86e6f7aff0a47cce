"""A result as CSV: a flat line per row, per cell of the safety tables, and per answer about jobs, in full
precision.

The columns follow from the fields of ``Row`` and ``Cell``: a new field is a column, unless it is named in
``LEFT_OUT``.
"""

from __future__ import annotations

import csv
import io
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Set

import msgspec

from ipclab.report.jobs_table import words
from ipclab.report.look import Look
from ipclab.report.table import ranked_rows
from ipclab.results.capacity import Capacity, capacities
from ipclab.results.encoding import LATER, used
from ipclab.results.jobs import Answer, answers
from ipclab.results.result import Result
from ipclab.results.rows.row import Figure, Percentiles, Race, Row
from ipclab.results.safety.cells import Cell, make_cells

LEFT_OUT: Mapping[type[msgspec.Struct], Mapping[str, str]] = {
    Row: {
        "options": "mode has them",
        "trials": "the figures say how many repeats they have",
        "has_broker": "the broker's figures are empty without one",
        "limits": "limit is the most common of them",
    },
    Capacity: {
        "options": "mode has them",
        "brackets": "one a repeat; low_per_s and high_per_s are of all of them",
    },
    Percentiles: {
        "spread": "by percentile, so that it is no single value",
        "p50_by_repeat_ns": "one value a repeat",
    },
    Race: {"findings": "sentences"},
    Cell: {"broken": "reasons has them"},
}
"""The fields that have no column, and why."""
_FIRST = ("group", "rank", "peers")
_LAST = "reasons"


def render(result: Result, _look: Look | None = None) -> str:
    """Return a line per row, capacity and cell, then one for each unavailable backend; empty cells where
    nothing was measured. Where there is only one of these, there are only its columns.

    Raise ResultsError for an unreadable histogram.
    """
    rows, safety = ranked_rows(result), make_cells(result.trials)
    jobs = answers(result)
    unused = {*LATER[Row]} - used(rows)
    found = capacities(result.trials)
    names = [
        *(row_columns(unused) if rows or not (safety or found) else ()),
        *(capacity_columns() if found else ()),
        *(cell_columns() if safety else ()),
    ]
    names += job_columns() if jobs else []
    flat = [_flat_row(row, unused) for row in rows]
    flat += [dict(_values(row)) for row in found]
    flat += [_flat_cell(cell) for cell in safety]
    flat += [_flat_job(answer) for answer in jobs]
    flat += [
        {"backend": gone.backend, "verdict": "unavailable", "reasons": gone.reason}
        for gone in result.unavailable
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(dict.fromkeys(names)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def row_columns(unused: Set[str] = frozenset()) -> list[str]:
    """Return the columns of a row: single values first, then the parts of fields with several values.

    ``unused`` are fields without columns, because no row has anything in them.
    """
    return _columns(Row, unused)


def capacity_columns() -> list[str]:
    """Return the columns of a capacity, in the same order."""
    return _columns(Capacity)


def _columns(struct: type[msgspec.Struct], unused: Set[str] = frozenset()) -> list[str]:
    names = [name for name in fields(struct) if name not in unused]
    plain = [name for name in names if part_type(struct, name) is None and name != _LAST]
    firsts = [name for name in _FIRST if name in plain]
    first = [*firsts, *(name for name in plain if name not in firsts), _LAST]
    kinds = ((name, part_type(struct, name)) for name in names)
    parts = [(name, kind) for name, kind in kinds if kind is not None]
    # Figures before distributions, distributions before the counts of messages.
    parts.sort(key=lambda part: (part[1] is not Figure, part[1] is not Percentiles))
    return [*first, *(f"{name}_{what}" for name, kind in parts for what in _parts(kind))]


def cell_columns() -> list[str]:
    """Return the columns of a cell."""
    return [*fields(Cell), _LAST]


def job_columns() -> list[str]:
    """Return the columns of an answer about jobs. Where a row has a column of the same name, it shares it."""
    return fields(Answer)


def fields(struct: type[msgspec.Struct]) -> list[str]:
    """Return the fields of an object that have a column."""
    return [name for name in struct.__struct_fields__ if name not in LEFT_OUT.get(struct, {})]


def part_type(struct: type[msgspec.Struct], field: str) -> type[msgspec.Struct] | None:
    """Return the object that a field holds; None where it holds a plain value."""
    hint = typing.get_type_hints(struct)[field]
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((one for one in options if isinstance(one, type) and issubclass(one, msgspec.Struct)), None)


def _parts(kind: type[msgspec.Struct]) -> Iterable[str]:
    return ("median", "spread_ratio", "repeats") if kind is Figure else fields(kind)


def _flat_row(row: Row, unused: Set[str] = frozenset()) -> dict[str, object]:
    return dict(_values(row, unused))


def _values(row: Row | Capacity, unused: Set[str] = frozenset()) -> Iterator[tuple[str, object]]:
    for name in (name for name in fields(type(row)) if name not in unused):
        value = getattr(row, name)
        if isinstance(value, Figure):
            yield f"{name}_median", value.median
            yield f"{name}_spread_ratio", value.spread
            yield f"{name}_repeats", len(value.values)
        elif isinstance(value, msgspec.Struct):
            yield from ((f"{name}_{part}", _joined(getattr(value, part))) for part in fields(type(value)))
        elif part_type(type(row), name) is None:
            yield name, _joined(value)


def _flat_cell(cell: Cell) -> dict[str, object]:
    flat = {name: _joined(getattr(cell, name)) for name in fields(Cell)}
    return flat | {_LAST: "; ".join(cell.broken)}


def _flat_job(answer: Answer) -> dict[str, object]:
    flat = {name: _joined(getattr(answer, name)) for name in fields(Answer)}
    return flat | {_LAST: "; ".join(words(answer, reason) for reason in answer.reasons)}


def _joined(value: object) -> object:
    if isinstance(value, dict):
        return "; ".join(f"{name}={what}" for name, what in value.items())
    return "; ".join(map(str, value)) if isinstance(value, list) else value
