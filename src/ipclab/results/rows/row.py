"""One row of the results: all measurements of one backend in one mode, shape, size and window.

Rows are derived from trial records and have full precision; the table rounds. None means not measured, not
applicable or withheld.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from ipclab.backends.base import Face, OptionValue
from ipclab.errors import ResultsError
from ipclab.hosts.clock_bound import Reason
from ipclab.payload.kinds import PLAIN
from ipclab.results import units
from ipclab.results.stats import median, spread
from ipclab.results.verdict import Word
from ipclab.trial.distribution import excursions, merge, roughly
from ipclab.trial.record import PERCENTILES, Distribution, Limit


class Figure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A figure with one value per repeat. ``spread`` is half the range relative to the median."""

    median: float
    spread: float | None
    values: list[float]


class Percentiles(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A latency distribution over all repeats, in nanoseconds, read from the merged histograms.

    A percentile without enough samples behind it is None. Skipped sends count as longer than any sample in
    ``end_to_end`` and ``send_to_confirm``. Confirmed messages that never came count the same way in
    ``end_to_end`` and ``service``. A percentile that lies among these is None, and so is ``max_ns`` where
    there are any. ``spread`` has the relative half range of the repeats' own percentiles, for those that
    every repeat has.

    ``p50_by_repeat_ns`` is empty where a repeat has none. ``p99_by_repeat_ns`` shows how far the repeats lie
    apart, so it needs only 3 samples beyond it in each; it is empty where one has fewer. ``excursions`` is
    how often the samples reached the percentile, where known. ``negative`` counts samples below zero, which
    are only in ``count`` and in ``min_ns``.
    """

    count: int
    negative: int
    min_ns: int
    p50_ns: int | None
    p90_ns: int | None
    p99_ns: int | None
    p999_ns: int | None
    max_ns: int | None
    spread: dict[str, float]
    p50_by_repeat_ns: list[int]
    p99_by_repeat_ns: list[int] = []
    excursions: dict[str, int] = {}

    @property
    def p99_range_ns(self) -> tuple[int, int] | None:
        """Return the lowest and the highest p99 of a repeat; None with fewer than two."""
        found = self.p99_by_repeat_ns
        return (min(found), max(found)) if len(found) > 1 else None


class Messages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The delivery ledgers of all trials of a row, added up. See ``ipclab.checks.delivery``.

    ``lost`` is of the finished trials; ``unaccounted`` of those that did not finish.
    """

    attempted: int
    confirmed: int
    received: int
    lost: int
    recovered: int
    duplicated: int
    unexpected: int
    corrupted: int
    reordered: int
    received_before_sent: int = 0
    unaccounted: int = 0


class Updates(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of the increments of all trials of a row. ``lost_share`` is of the confirmed ones;
    ``repeats_that_lost`` of ``repeats`` trials lost any."""

    attempted: int
    confirmed: int
    lost: int
    phantom: int
    lost_share: float
    repeats: int
    repeats_that_lost: int


class Jobs(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the consumers of all finished trials of a row did, added up: see ``trial.record.Worked``."""

    finished: int
    again: int
    failed: int
    returned: int
    unfinished: int


class Race(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The outcome of a race: by luck, under load, and by force.

    ``observed`` of ``trials`` under load showed the anomaly; ``low`` and ``high`` are the ends of the 95 %
    Wilson interval of the true share. ``shown`` of ``forced`` trials showed it after the processes were made
    to interleave; ``forced`` is 0 where that was not tried. In ``one_step`` of them an operation is one step,
    according to the backend, so there was no moment to interleave at; ``out_of_reach`` more could not be
    brought about. ``anomalies`` are those of the trials under load, by name; ``findings`` are those of the
    forced trials.
    """

    observed: int
    trials: int
    low: float
    high: float
    shown: int
    forced: int
    one_step: int = 0
    out_of_reach: int = 0
    anomalies: dict[str, int] = {}
    findings: list[str] = []


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``backend`` is the text for ``--backend``; ``mode`` its options, for shared state the discipline first.

    ``kind``      a channel carries messages, a counter is a shared number that ``producers`` processes raise,
                  a register and a lock are shared by as many.
    ``rate_per_s``  the paced trials' offered rate; ``carried_per_s`` the part of it that arrived as goodput.
    ``*_cpu_us_per_message``  of the closed-loop trials; a round trip is two messages and an update one.
                  A paced producer spends time reading the clock, which is not the backend's cost.
    ``worker_peak_rss_bytes``  the largest worker's; ``broker_rss_bytes`` the broker's largest.
    ``helpers``   the most helper processes of a trial that the backend does not name; their use counts as the
                  broker's.
    ``polling``   a waiting consumer polls, as the backend declares.
    ``limit``     the most common of ``limits``, the counts of what limited the closed-loop trials.
    ``beyond_backlog``  the most messages above the bound on the backlog that may have been in flight.
    ``over_cores``  the trials wanted more cores than there are, so their processes took turns.
    ``operations_per_s``  reads and writes of a register; acquires of a lock, each with its release.
    ``safety_price``  for a safe discipline: the updates or operations per second of the same backend's
                  fastest unsafe one over its own.
    ``peers``     how many rows of ``group`` it could be ranked against; ``rank`` is None without any, and
                  where there are too few repeats to separate any two of them.
    ``resolves``  for a row that shares its rank: the smallest difference to any of those that would have been
                  significant, as a share; None where no difference would have been.
    ``work``      the consumers' work on each message, as text for ``--work``; empty for none. With work,
                  ``end_to_end`` and ``service`` reach to its end. ``work_fail_share`` of the handlers raise.
    ``utilisation``  the share of the window that the consumers spent in work.
    ``to_receipt``  from the intended send time to the receipt; ``handling`` from then to the end of the work.
    ``load``      the operations that race on a register; rows with another load are not compared.
    ``race``      of shared state for which a race was forced too.
    ``payload``, ``codec``  what the messages are and how they become bytes; ``smallest_bytes`` is above 0
                  where sizes are drawn between it and ``size_bytes``.
    ``serialising_share``  the part of the workers' CPU time that went into encoding and decoding payloads. It
                  does not count the lab's own check of each payload. Of the same trials as
                  ``*_cpu_us_per_message``.
    ``segments_left``  segments of shared memory that nobody unlinked in time, of all trials.
    ``copies_made``  how often encoding and decoding copy an array; None for other payloads.
    ``clock_bound_ns``  of paced trials on several machines: the largest error of a latency from one machine
                  to another, by what is proven of their clocks; None where nothing is. ``one_way_withheld``
                  says why trials have no ``end_to_end`` and ``service``. ``same_machine`` has the messages
                  whose producer and consumer share a machine: these need one clock only.
    ``placement``  the machines of the workers, of several, such as ``producers 1,2; consumers 3``.
    ``trials``    how many trials of each workload there were, by outcome too where not finished.

    One row merges the trials of several workloads, and any of them may be left out, refused or cut short, so
    a figure is None where no finished trial measured it. A type for each kind of row would still have these
    fields optional, and the documented JSON of a row is flat.
    """

    backend: str
    name: str
    mode: str
    options: dict[str, OptionValue]
    kind: Face
    guarantee_class: str
    group: str = ""
    rank: str | None = None
    resolves: float | None = None
    peers: int = 0
    producers: int
    consumers: int | None
    size_bytes: int | None
    window: int | None
    start_method: str
    confirm: str | None
    durability: str | None
    polling: bool = False
    load: str = ""
    trials: dict[str, int]
    goodput_per_s: Figure | None = None
    round_trips_per_s: Figure | None = None
    updates_per_s: Figure | None = None
    operations_per_s: Figure | None = None
    rate_per_s: float | None = None
    carried_per_s: Figure | None = None
    arrivals: str | None = None
    late_sends: int | None = None
    skipped_sends: int | None = None
    send: Percentiles | None = None
    send_to_confirm: Percentiles | None = None
    end_to_end: Percentiles | None = None
    service: Percentiles | None = None
    round_trip: Percentiles | None = None
    update: Percentiles | None = None
    worker_cpu_us_per_message: Figure | None = None
    broker_cpu_us_per_message: Figure | None = None
    has_broker: bool = False
    helpers: int = 0
    worker_peak_rss_bytes: int | None = None
    broker_rss_bytes: int | None = None
    messages: Messages | None = None
    work: str = ""
    work_fail_share: float = 0.0
    utilisation: Figure | None = None
    to_receipt: Percentiles | None = None
    handling: Percentiles | None = None
    jobs: Jobs | None = None
    updates: Updates | None = None
    race: Race | None = None
    safety_price: float | None = None
    limit: Limit = "unknown"
    limits: dict[Limit, int] = {}
    over_cores: bool = False
    beyond_backlog: int = 0
    verdict: Word
    reasons: list[str] = []
    payload: str = PLAIN
    codec: str = ""
    smallest_bytes: int = 0
    serialising_share: Figure | None = None
    segments_left: int = 0
    copies_made: float | None = None
    clock_bound_ns: int | None = None
    one_way_withheld: Reason | Literal[""] = ""
    same_machine: Percentiles | None = None
    placement: str = ""

    @property
    def sizes(self) -> tuple[int, int] | None:
        """Return the smallest and the largest size of a message; None for shared state."""
        return None if self.size_bytes is None else (self.smallest_bytes or self.size_bytes, self.size_bytes)

    @property
    def way(self) -> str:
        """Return how its messages travel: the backend and its mode, and payload and codec where chosen."""
        return way(self.name, self.mode, self.payload, self.codec)

    @property
    def shape(self) -> str:
        """Return the shape, such as ``4→1``; for shared state the number of processes, ``4×``."""
        return f"{self.producers}×" if self.consumers is None else f"{self.producers}→{self.consumers}"

    @property
    def shared_per_s(self) -> Figure | None:
        """Return the updates of a counter, or the operations on a register or a lock."""
        return self.updates_per_s or self.operations_per_s

    @property
    def speed(self) -> Figure | None:
        """Return the value by which rows are sorted and ranked, higher being better: a rate, or for a row
        that was only paced how often its median latency fits into a second.
        """
        measured = self.goodput_per_s or self.shared_per_s or self.round_trips_per_s
        if measured is not None or self.end_to_end is None or not self.end_to_end.p50_by_repeat_ns:
            return measured
        return figure([1e9 / max(ns, 1) for ns in self.end_to_end.p50_by_repeat_ns])


def way(name: str, mode: str, payload: str, codec: str) -> str:
    """Return how messages travel: a backend and its mode, and payload and codec where they are chosen."""
    sent = "" if payload == PLAIN else f" {units.payload(payload)}"
    return f"{name} {mode}".rstrip() + sent + (f" {codec}" if codec else "")


def figure(values: Sequence[float]) -> Figure | None:
    """Return the figure of these repeats; None where there are none."""
    if not values:
        return None
    return Figure(median=median(values), spread=spread(values), values=list(values))


def percentiles(parts: Sequence[Distribution | None], *, never: Sequence[int] = ()) -> Percentiles | None:
    """Return one distribution of the samples of all repeats; None where there are none.

    ``never`` is, for each repeat, the number of additional samples that count as longer than all others: see
    ``merge``. The percentiles of the repeats themselves include them, too.

    Raise ResultsError where a histogram cannot be read.
    """
    seen = [part for part in parts if part is not None]
    missing = sum(never)
    try:
        merged = merge(seen, never=missing)
        each = [_with(part, count) for part, count in zip(parts, never or [0] * len(parts), strict=True)]
    except Exception as error:
        raise ResultsError(
            f"a latency histogram cannot be read ({type(error).__name__}): the result file is damaged"
        ) from error
    if merged is None:
        return None

    def at_most_max(percentile_ns: int | None) -> int | None:
        # A histogram answers with the upper end of a bucket, which may lie above the largest sample.
        return None if percentile_ns is None else min(percentile_ns, merged.max_ns)

    return Percentiles(
        count=merged.count,
        negative=merged.negative,
        min_ns=merged.min_ns,
        p50_ns=at_most_max(merged.p50_ns),
        p90_ns=at_most_max(merged.p90_ns),
        p99_ns=at_most_max(merged.p99_ns),
        p999_ns=at_most_max(merged.p999_ns),
        max_ns=None if missing else merged.max_ns,
        spread=_spreads(each),
        p50_by_repeat_ns=_by_repeat(each, "p50_ns"),
        p99_by_repeat_ns=_rough_p99(parts, never),
        excursions=_excursions(seen, missing),
    )


def _rough_p99(parts: Sequence[Distribution | None], never: Sequence[int]) -> list[int]:
    found = [
        roughly(part, PERCENTILES["p99"], never=missing) if part else None
        for part, missing in zip(parts, never or [0] * len(parts), strict=True)
    ]
    known = [value for value in found if value is not None]
    return known if len(known) == len(found) else []


def _excursions(seen: Sequence[Distribution], never: int) -> dict[str, int]:
    """Return how many excursions went above p99 and p99.9, whether those are shown or not."""
    # Without the order of the samples, no percentile is withheld for lack of excursions.
    unordered = merge([msgspec.structs.replace(part, excursions=None) for part in seen], never=never)
    found: dict[str, int] = {}
    for name in ("p99", "p999") if unordered else ():
        value_ns = getattr(unordered, f"{name}_ns")
        if unordered is None or value_ns is None:
            continue
        if (many := excursions(seen, min(value_ns, unordered.max_ns))) is not None:
            found[name] = many
    return found


def _with(part: Distribution | None, never: int) -> Distribution | None:
    return merge([part], never=never) if part is not None and never else part


def _spreads(parts: Sequence[Distribution | None]) -> dict[str, float]:
    found = {name: spread(_by_repeat(parts, f"{name}_ns")) for name in PERCENTILES}
    return {name: value for name, value in found.items() if value is not None}


def _by_repeat(parts: Sequence[Distribution | None], field: str) -> list[int]:
    values = [getattr(part, field, None) for part in parts]
    known: list[int] = [value for value in values if value is not None]
    return known if len(known) == len(values) else []
