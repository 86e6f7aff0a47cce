"""The columns of the results table: the text of each cell, in a few characters.

The columns of a section follow from what its rows measured, so that a user's own experiment gets a fitting
table too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ipclab.payload.kinds import PLAIN
from ipclab.results import units
from ipclab.results.rows.row import Figure, Percentiles, Row
from ipclab.results.units import NOT_APPLICABLE, NOT_TOLD, WITHHELD
from ipclab.results.verdict import SOUND
from ipclab.trial.record import PERCENTILES

OVER_CORES = "+"
SHOWN_BY_LOAD = "yes: load"
ONE_STEP = "one step"


@dataclass(frozen=True, slots=True)
class Column:
    """``header`` may have several lines; ``full`` is for a place with more room. ``key`` columns name the
    row; ``flexible`` ones may wrap; ``optional`` ones may be left out where there is no room.
    ``value`` is the figure in full precision, by which a reader may sort."""

    header: str
    cell: Callable[[Row], str]
    right: bool = True
    key: bool = False
    flexible: bool = False
    optional: bool = False
    full: str = ""
    value: Callable[[Row], float | None] | None = None


def choose(rows: Sequence[Row]) -> list[Column]:
    """Return the columns for these rows, all of one kind."""
    if all(row.kind == "counter" for row in rows):
        return _RACED_COUNTERS if any(row.race for row in rows) else _COUNTERS
    if all(row.kind in ("register", "lock") for row in rows):
        return _RACES
    only_paced = all(set(row.limits) <= {"pacing"} for row in rows)
    limit = replace(_LIMIT, optional=True) if only_paced else _LIMIT
    return [*_NAMES, *_conditions(rows), *_measured(rows), _LEDGER, limit, VERDICT]


def _conditions(rows: Sequence[Row]) -> list[Column]:
    payloads = [_PAYLOAD] if any(row.payload != PLAIN or row.codec for row in rows) else []
    sizes = [_SIZE] if len({row.sizes for row in rows}) > 1 else []
    return [_SHAPE, *payloads, *sizes, _WINDOW, _CONFIRM]


def _measured(rows: Sequence[Row]) -> list[Column]:
    goodput = any(row.goodput_per_s for row in rows)
    paced = any(row.rate_per_s for row in rows)
    trips = any(row.round_trips_per_s for row in rows)
    found = [_GOODPUT] if goodput else []
    if paced:
        found += _SHORT_LATENCY if goodput else _LONG_LATENCY
    if trips:
        # A round trip is what is left to judge by where the latency of one way is withheld.
        needed = any(row.one_way_withheld for row in rows)
        found += [replace(_TRIP_P50, optional=not needed)] if goodput or paced else _TRIPS
    found += _SAME_MACHINE if any(row.same_machine for row in rows) else []
    found += _WORK if any(row.work for row in rows) else []
    if not (goodput or trips):
        return found
    serialising = [_SERIALISING] if any(row.serialising_share for row in rows) else []
    copies = [_COPIES] if any(row.copies_made is not None for row in rows) else []
    return [*found, *_CPU, *serialising, *copies]


def _rank(row: Row) -> str:
    if row.rank is not None:
        return row.rank if row.resolves is None else f"{row.rank} {units.percent(row.resolves)}"
    return WITHHELD if row.verdict in SOUND and row.peers else NOT_APPLICABLE


def _figure(pick: Callable[[Row], Figure | None]) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        figure = pick(row)
        if figure is None:
            return NOT_APPLICABLE
        return f"{units.rate(figure.median, figure.spread)} {units.plus_minus(figure.spread)}".rstrip()

    return cell


def _median(pick: Callable[[Row], Figure | None]) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        figure = pick(row)
        return None if figure is None else figure.median

    return value


def _ns(pick: Callable[[Row], Percentiles | None], name: str) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        found = pick(row)
        return None if found is None else getattr(found, f"{name}_ns")

    return value


def _figures(header: str, pick: Callable[[Row], Figure | None]) -> Column:
    """Return the column of a figure with one value a repeat."""
    return Column(header, _figure(pick), value=_median(pick))


def _times(header: str, pick: Callable[[Row], Percentiles | None], name: str = "", full: str = "") -> Column:
    """Return the column of a percentile, by default the one of its header."""
    name = name or header
    return Column(header, _time(pick, name), full=full, value=_ns(pick, name))


def _time(pick: Callable[[Row], Percentiles | None], name: str) -> Callable[[Row], str]:
    def cell(row: Row) -> str:
        found = pick(row)
        if found is None:
            return WITHHELD if _is_withheld(row, pick) else NOT_APPLICABLE
        value_ns = getattr(found, f"{name}_ns")
        return WITHHELD if value_ns is None else units.duration(value_ns, _widest(found))

    return cell


def _p99(pick: Callable[[Row], Percentiles | None]) -> Callable[[Row], str]:
    """Return the cell with the lowest and highest p99 of the repeats: one number would hide the spread.

    The bound of the clocks stands beside it where the messages went from one machine to another.
    """
    pooled = _time(pick, "p99")

    def cell(row: Row) -> str:
        found = pick(row)
        if found is None or found.p99_ns is None:
            return pooled(row)
        text = pooled(row) if (ends := found.p99_range_ns) is None else units.durations(*ends)
        return text if row.clock_bound_ns is None else f"{text} {units.bound(row.clock_bound_ns)}"

    return cell


def _is_withheld(row: Row, pick: Callable[[Row], Percentiles | None]) -> bool:
    return bool(row.one_way_withheld) and pick in (_end_to_end, _service, _receipt)


def _same_machine_p99(row: Row) -> str:
    text = _time(_same_machine, "p99")(row)
    return text if text in (NOT_APPLICABLE, WITHHELD) else f"{text} {units.bound(0)}"


def _widest(found: Percentiles) -> float | None:
    """Return the widest spread among the percentiles that are shown, None where one has none: with
    different numbers of digits p99.9 could read as less than p99.
    """
    shown = [name for name in PERCENTILES if getattr(found, f"{name}_ns") is not None]
    spreads = [found.spread.get(name) for name in shown]
    known = [spread for spread in spreads if spread is not None]
    return max(known) if known and len(known) == len(spreads) else None


def _worker_cpu(row: Row) -> str:
    return _cpu(row, row.worker_cpu_us_per_message)


def _broker_cpu(row: Row) -> str:
    return _cpu(row, row.broker_cpu_us_per_message) if row.has_broker else NOT_APPLICABLE


def _cpu(row: Row, figure: Figure | None) -> str:
    if figure is not None:
        return units.number(figure.median, units.digits(figure.spread))
    closed_loop = row.goodput_per_s or row.round_trips_per_s or row.updates_per_s
    return NOT_TOLD if closed_loop else NOT_APPLICABLE


def _ledger(row: Row) -> str:
    found = row.messages
    if found is None:
        return NOT_APPLICABLE
    # Where a trial did not finish, the number of lost messages is unknown; known losses are shown.
    lost = NOT_TOLD if found.unaccounted and not found.lost else str(found.lost)
    return f"{lost}/{found.duplicated}/{found.reordered}/{found.corrupted}"


def _sends(row: Row) -> str:
    return NOT_APPLICABLE if row.late_sends is None else f"{row.late_sends}/{row.skipped_sends}"


def _lost_updates(row: Row) -> str:
    found = row.updates
    if found is None:
        return NOT_APPLICABLE
    return f"{units.percent(found.lost_share)} ({found.repeats_that_lost}/{found.repeats})"


def _lost_share(row: Row) -> str:
    return NOT_APPLICABLE if row.updates is None else units.percent(row.updates.lost_share)


def _anomalies(row: Row) -> str:
    if row.race is None or not row.race.anomalies:
        return NOT_APPLICABLE
    return " ".join(f"{name} {units.count(count)}" for name, count in row.race.anomalies.items())


def _observed(row: Row) -> str:
    if row.race is None or not row.race.trials:
        return NOT_APPLICABLE
    return f"{row.race.observed}/{row.race.trials} {units.interval(row.race.low, row.race.high)}"


def _possible_harm(row: Row) -> str:
    race = row.race
    if race is None:
        return NOT_APPLICABLE
    if race.shown:
        return f"yes {race.shown}/{race.forced}"
    if race.observed:
        return SHOWN_BY_LOAD
    if race.one_step:
        return ONE_STEP
    if race.forced:
        return f"no 0/{race.forced}"
    return NOT_TOLD if race.out_of_reach else NOT_APPLICABLE


def _price(row: Row) -> str:
    return NOT_APPLICABLE if row.safety_price is None else f"×{units.number(row.safety_price, 2)}"


def _limit(row: Row) -> str:
    if not row.limits:
        return NOT_APPLICABLE
    return row.limit + (OVER_CORES if row.over_cores and row.limit != "cores" else "")


_NAMES = [
    Column("#", _rank, key=True),
    Column(
        "backend and mode",
        lambda row: f"{row.name} {row.mode}".rstrip(),
        right=False,
        key=True,
        flexible=True,
    ),
]
_SHAPE = Column("n→m", lambda row: row.shape, right=False, full="shape")
_SIZE = Column(
    "size",
    lambda row: NOT_APPLICABLE if row.sizes is None else units.sizes(*row.sizes),
    value=lambda row: row.size_bytes,
)
_PAYLOAD = Column(
    "payload\ncodec",
    lambda row: f"{units.payload(row.payload)} {row.codec}".rstrip(),
    right=False,
    key=True,
    flexible=True,
    full="payload and codec",
)
_WINDOW = Column(
    "win",
    lambda row: NOT_APPLICABLE if row.window is None else str(row.window),
    full="window",
    value=lambda row: row.window,
)
_CONFIRM = Column("confirm", lambda row: row.confirm or NOT_APPLICABLE, right=False)
_GOODPUT = _figures("goodput", lambda row: row.goodput_per_s)


def _end_to_end(row: Row) -> Percentiles | None:
    return row.end_to_end


def _service(row: Row) -> Percentiles | None:
    return row.service


def _round_trip(row: Row) -> Percentiles | None:
    return row.round_trip


_P99 = Column("p99", _p99(_end_to_end), value=_ns(_end_to_end, "p99"))
_SHORT_LATENCY = [_times("p50", _end_to_end), _P99, _times("p99.9", _end_to_end, "p999")]
_LONG_LATENCY = [
    # Left out without room: several rates are in the titles of their groups, a single one in the heading.
    Column(
        "offered",
        lambda row: NOT_APPLICABLE if row.rate_per_s is None else units.given_rate(row.rate_per_s),
        optional=True,
        value=lambda row: row.rate_per_s,
    ),
    _times("p50", _end_to_end),
    _times("p90", _end_to_end),
    _P99,
    _times("p99.9", _end_to_end, "p999"),
    _times("max", _end_to_end),
    _times("service\np50", _service, "p50", "service p50"),
    _times("\np99", _service, "p99", "service p99"),
    Column("late/\nskipped", _sends, full="late/skipped"),
]


def _same_machine(row: Row) -> Percentiles | None:
    return row.same_machine


_SAME_MACHINE = [
    _times("same machine\np50", _same_machine, "p50", "same machine p50"),
    Column("\np99", _same_machine_p99, full="same machine p99", value=_ns(_same_machine, "p99")),
]


def _receipt(row: Row) -> Percentiles | None:
    return row.to_receipt


def _utilisation(row: Row) -> str:
    return NOT_APPLICABLE if row.utilisation is None else units.percent(row.utilisation.median)


def _failed(row: Row) -> str:
    return NOT_APPLICABLE if row.jobs is None else f"{row.jobs.failed}/{row.jobs.unfinished}"


_WORK = [
    _times("to receipt\np99", _receipt, "p99", "to receipt p99"),
    Column("in\nwork", _utilisation, full="in work", value=_median(lambda row: row.utilisation)),
    Column("failed/\nundone", _failed, full="failed/undone"),
]
_TRIP_P50 = replace(_times("round\ntrip", _round_trip, "p50", "round trip p50"), optional=True)
_TRIPS = [
    _figures("round trips", lambda row: row.round_trips_per_s),
    *(_times(name, _round_trip) for name in ("p50", "p90", "p99")),
    _times("p99.9", _round_trip, "p999"),
]


def _worker_cpu_us(row: Row) -> Figure | None:
    return row.worker_cpu_us_per_message


def _broker_cpu_us(row: Row) -> Figure | None:
    return row.broker_cpu_us_per_message if row.has_broker else None


_CPU = [
    Column("CPU µs\nwork", _worker_cpu, full="CPU µs/message, workers", value=_median(_worker_cpu_us)),
    Column("/msg\nbroker", _broker_cpu, full="CPU µs/message, broker", value=_median(_broker_cpu_us)),
]
_SERIALISING = Column(
    "seria-\nlising",
    lambda row: (
        NOT_APPLICABLE if row.serialising_share is None else units.percent(row.serialising_share.median)
    ),
    full="serialising, share of the workers' CPU time",
    value=_median(lambda row: row.serialising_share),
)
_COPIES = Column(
    "copies",
    lambda row: NOT_APPLICABLE if row.copies_made is None else f"{row.copies_made:g}",
    full="copies of an array by encoding and decoding",
    value=lambda row: row.copies_made,
)
_LEDGER = Column("lost/dup\nreo/corr", _ledger, full="lost/duplicated/reordered/corrupted")
_LIMIT = Column("limit", _limit, right=False)
VERDICT = Column("verdict", lambda row: row.verdict, right=False)
_DISCIPLINE = [
    Column("#", _rank, key=True),
    Column(
        "backend and discipline",
        lambda row: f"{row.name} {row.mode}".rstrip(),
        right=False,
        key=True,
        flexible=True,
    ),
    Column("pro-\ncesses", lambda row: str(row.producers), full="processes"),
]
_UPDATES = _figures("updates", lambda row: row.updates_per_s)
_PRICE = Column("price of\nsafety", _price, full="price of safety", value=lambda row: row.safety_price)


def _update(row: Row) -> Percentiles | None:
    return row.update


_UPDATE_TIMES = [
    _times("p50", _update),
    _times("p99", _update),
    replace(_times("p99.9", _update, "p999"), optional=True),
]
_UPDATE_CPU = [
    Column("CPU µs\nwork", _worker_cpu, full="CPU µs/update, workers", value=_median(_worker_cpu_us)),
    Column("/upd\nbroker", _broker_cpu, full="CPU µs/update, broker", value=_median(_broker_cpu_us)),
]


def _share_lost(row: Row) -> float | None:
    return None if row.updates is None else row.updates.lost_share


_OBSERVED = Column("observed", _observed)
_POSSIBLE = Column("possible", _possible_harm)
_COUNTERS = [
    *_DISCIPLINE,
    _UPDATES,
    Column("lost updates", _lost_updates, value=_share_lost),
    _PRICE,
    *_UPDATE_TIMES,
    *_UPDATE_CPU,
    _LIMIT,
    VERDICT,
]
_RACED_COUNTERS = [
    *_DISCIPLINE,
    _UPDATES,
    Column("lost", _lost_share, full="lost updates", value=_share_lost),
    _OBSERVED,
    _POSSIBLE,
    _PRICE,
    *(replace(column, optional=True) for column in _UPDATE_TIMES),
    *_UPDATE_CPU,
    _LIMIT,
    VERDICT,
]
_RACES = [
    *_DISCIPLINE,
    _figures("operations", lambda row: row.operations_per_s),
    Column("anomalies", _anomalies, right=False, flexible=True),
    _OBSERVED,
    _POSSIBLE,
    _PRICE,
    VERDICT,
]
