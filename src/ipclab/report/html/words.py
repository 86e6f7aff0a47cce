"""What the pictures of the page say of a row in words: figures, loss, and why one is missing. Pure."""

from __future__ import annotations

from ipclab.host.texts import tr
from ipclab.results import units
from ipclab.results.rows.row import Figure, Percentiles, Row
from ipclab.results.units import NOT_APPLICABLE, NOT_TOLD, WITHHELD


def speed(row: Row) -> Figure | None:
    """Return the rate of a channel's row: goodput, or round trips where only these were measured."""
    return row.goodput_per_s or row.round_trips_per_s


def latency(row: Row) -> Percentiles | None:
    """Return the latency of a channel's row: end to end, or of round trips where only these were measured.

    None where the latency from end to end is withheld.
    """
    return row.end_to_end or (None if row.one_way_withheld else row.round_trip)


def rate(figure: Figure | None) -> str:
    """Return a rate with its spread; a dash where there is none."""
    if figure is None:
        return NOT_APPLICABLE
    return f"{units.rate(figure.median, figure.spread)} {units.plus_minus(figure.spread)}".rstrip()


def time(value_ns: int | None) -> str:
    """Return a percentile; that it is withheld where it is None."""
    return tr("withheld {withheld}", withheld=WITHHELD) if value_ns is None else units.duration(value_ns)


def lost(row: Row) -> str:
    """Return how many messages or which share of the updates a row lost."""
    if row.updates is not None:
        return units.percent(row.updates.lost_share)
    if row.messages is None:
        return NOT_APPLICABLE
    unknown = row.messages.unaccounted and not row.messages.lost
    return NOT_TOLD if unknown else units.count(row.messages.lost)


def cpu(row: Row) -> str:
    """Return the CPU time a message, workers and broker."""
    workers, broker = row.worker_cpu_us_per_message, row.broker_cpu_us_per_message
    found = [tr("{median} µs workers", median=units.number(workers.median, 2))] if workers else []
    found += (
        [tr("{median} µs broker", median=units.number(broker.median, 2))] if broker and row.has_broker else []
    )
    return " + ".join(found)


def sentence(label: str, row: Row) -> str:
    """Return everything that the pictures show of a row, for a read-out."""
    parts = [f"{label}: {row.verdict}"]
    if (figure := speed(row) or row.shared_per_s) is not None:
        parts.append(
            tr(
                "{figure} (median of {values})",
                figure=rate(figure),
                values=units.of(len(figure.values), "repeat"),
            )
        )
    if (found := latency(row) or row.update) is not None:
        parts.append(f"p50 {time(found.p50_ns)}, p99 {time(found.p99_ns)}, p99.9 {time(found.p999_ns)}")
    if used := cpu(row):
        parts.append(tr("CPU {used}", used=used))
    parts.append(tr("lost {row}", row=lost(row)))
    return "; ".join(parts)
