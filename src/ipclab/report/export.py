"""Results for other programs: JSON with everything, CSV with a flat line a row. Full precision throughout."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

import msgspec

from ipclab.report.table import ranked_rows
from ipclab.results.result import Result
from ipclab.results.rows.row import Figure, Row
from ipclab.results.safety.cells import Cell, cells

_PERCENTILES = ("count", "negative", "min_ns", "p50_ns", "p90_ns", "p99_ns", "p999_ns", "max_ns")
_LATENCIES = ("send", "send_to_confirm", "end_to_end", "service", "round_trip", "update")
_FIGURES = (
    "goodput_per_s",
    "round_trips_per_s",
    "updates_per_s",
    "operations_per_s",
    "carried_per_s",
    "worker_cpu_us_per_message",
    "broker_cpu_us_per_message",
)
_LEDGER = (
    "attempted",
    "confirmed",
    "received",
    "lost",
    "recovered",
    "duplicated",
    "unexpected",
    "corrupted",
    "reordered",
    "received_before_sent",
    "unaccounted",
)
_UPDATES = ("attempted", "confirmed", "lost", "phantom", "lost_share", "repeats", "repeats_that_lost")
_RACE = ("observed", "trials", "low", "high", "shown", "forced", "one_step", "out_of_reach", "anomalies")
_PLAIN = (
    "group",
    "rank",
    "peers",
    "backend",
    "name",
    "mode",
    "kind",
    "guarantee_class",
    "producers",
    "consumers",
    "size_bytes",
    "window",
    "start_method",
    "confirm",
    "durability",
    "polling",
    "load",
    "rate_per_s",
    "arrivals",
    "late_sends",
    "skipped_sends",
    "worker_peak_rss_bytes",
    "broker_rss_bytes",
    "safety_price",
    "limit",
    "over_cores",
    "beyond_backlog",
    "helpers",
    "verdict",
)


_CELL = tuple(name for name in Cell.__struct_fields__ if name != "broken")
"""What is broken is in the column ``reasons``, as that of a row."""


class Report(Result, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A result with the rows and cells that were derived from it: what ``--format json`` prints. Reading it
    back gives the same result; rows and cells are derived anew."""

    rows: list[Row] = msgspec.field(default_factory=list)
    cells: list[Cell] = msgspec.field(default_factory=list)


def json(result: Result) -> str:
    """The whole result with its rows and cells. Raises ResultsError for an unreadable histogram."""
    fields = {name: getattr(result, name) for name in Result.__struct_fields__}
    report = Report(**fields, rows=ranked_rows(result), cells=cells(result.trials))
    return msgspec.json.format(msgspec.json.encode(report)).decode() + "\n"


def rows_as_csv(result: Result) -> str:
    """A line a row and a line a cell of the safety tables, then one for each unavailable backend; empty for
    what was not measured. Where there are only rows or only cells, there are only their columns.

    Raises ResultsError for an unreadable histogram.
    """
    rows, safety = ranked_rows(result), cells(result.trials)
    names = [*(_columns() if rows or not safety else ()), *(_cell_columns() if safety else ())]
    flat = [_flat(row) for row in rows]
    flat += [_flat_cell(cell) for cell in safety]
    flat += [
        {"backend": gone.backend, "verdict": "unavailable", "reasons": gone.reason}
        for gone in result.unavailable
    ]
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=list(dict.fromkeys(names)), lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return out.getvalue()


def _columns() -> Iterable[str]:
    yield from _PLAIN
    yield "reasons"
    for name in _FIGURES:
        yield from (f"{name}_median", f"{name}_spread_ratio", f"{name}_repeats")
    for name in _LATENCIES:
        yield from (f"{name}_{what}" for what in _PERCENTILES)
    yield from (f"messages_{what}" for what in _LEDGER)
    yield from (f"updates_{what}" for what in _UPDATES)
    yield from (f"race_{what}" for what in _RACE)


def _cell_columns() -> Iterable[str]:
    yield from _CELL
    yield "reasons"


def _flat_cell(cell: Cell) -> dict[str, object]:
    flat = {name: _joined(getattr(cell, name)) for name in _CELL}
    flat["reasons"] = "; ".join(cell.broken)
    return flat


def _joined(value: object) -> object:
    if isinstance(value, dict):
        return "; ".join(f"{name}={what}" for name, what in value.items())
    return "; ".join(value) if isinstance(value, list) else value


def _flat(row: Row) -> dict[str, object]:
    flat: dict[str, object] = {name: getattr(row, name) for name in _PLAIN}
    flat["reasons"] = "; ".join(row.reasons)
    for name in _FIGURES:
        figure: Figure | None = getattr(row, name)
        if figure is not None:
            flat[f"{name}_median"] = figure.median
            flat[f"{name}_spread_ratio"] = figure.spread
            flat[f"{name}_repeats"] = len(figure.values)
    for prefix, whole, parts in (
        *((name, getattr(row, name), _PERCENTILES) for name in _LATENCIES),
        ("messages", row.messages, _LEDGER),
        ("updates", row.updates, _UPDATES),
        ("race", row.race, _RACE),
    ):
        if whole is not None:
            flat.update({f"{prefix}_{what}": _joined(getattr(whole, what)) for what in parts})
    return flat
