"""The footnotes on latencies between several machines: how well their clocks are known, and what follows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import assert_never

from ipclab.host.texts import tr
from ipclab.hosts.clock_bound import LARGEST_SHARE_OF_MEDIAN, Reason
from ipclab.results import units
from ipclab.results.rows.row import Row


def of_machines(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the footnotes; nothing for rows of one machine."""
    bounds_ns = {row.clock_bound_ns for row in rows if row.end_to_end and row.clock_bound_ns is not None}
    if bounds_ns:
        yield tr(
            "{bound}  the largest error of each latency from one machine to another, by the "
            "measured bound of their clocks",
            bound=units.bound(max(bounds_ns)),
        )
    reasons: dict[Reason, list[Row]] = {}
    for row in rows:
        if row.one_way_withheld:
            reasons.setdefault(row.one_way_withheld, []).append(row)
    for reason, found in reasons.items():
        yield tr(
            "{withheld}  latency from one machine to another withheld: {why}; round trips, and messages "
            "within one machine, need no second clock",
            withheld=units.WITHHELD,
            why=_why(reason, max((row.clock_bound_ns or 0 for row in found), default=0)),
        )
    if any(row.same_machine for row in rows):
        yield tr(
            "same machine  latency of the messages that came and whose producer and consumer share a "
            "machine, so that one clock measures it"
        )


def _why(reason: Reason, bound_ns: int) -> str:
    match reason:
        case "wide":
            return tr(
                "the clocks are known to {bound} only, more than {share} of the median",
                bound=units.bound(bound_ns),
                share=units.percent(LARGEST_SHARE_OF_MEDIAN),
            )
        case "no-echo":
            return tr("a machine did not answer the UDP echo, so nothing is known of its clock")
        case "stepped":
            return tr("a clock jumped while the clocks were compared")
        case "drift":
            return tr("the clocks moved apart by more than clocks drift")
        case "contradicted":
            return tr("a comparison during the trial contradicts those before and after it")
        case _:
            assert_never(reason)
