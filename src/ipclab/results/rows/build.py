"""Builds rows from trial records: trials of the same backend, mode, shape, size and window become one row.

Pure. Statistics come from finished trials; ledgers, verdicts and reasons from all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from ipclab.backends.base import OptionValue
from ipclab.backends.registry import Variant
from ipclab.results import verdict
from ipclab.results.rows import races
from ipclab.results.rows.classes import guarantee_class
from ipclab.results.rows.distance import distance_of, placement, with_one_way
from ipclab.results.rows.row import Figure, Messages, Row, Updates, figure, percentiles
from ipclab.results.rows.work import work_of
from ipclab.trial import workloads
from ipclab.trial.record import Cost, Distribution, Latency, TrialRecord


class _Key(NamedTuple):
    """The common properties of a row's trials; the shape of shared state is its number of processes."""

    kind: str
    backend: str
    producers: int
    consumers: int | None
    size_bytes: int | None
    window: int | None
    start_method: str
    payload: str
    codec: str
    smallest_bytes: int
    work: str = ""
    work_fail_share: float = 0.0
    placement: str = ""

    def same_discipline(self, other: _Key) -> bool:
        """Return whether the other key differs only in the number of processes."""
        return self._replace(producers=0) == other._replace(producers=0)


class _Pace(NamedTuple):
    rate_per_s: float
    arrivals: str


def rows(trials: Iterable[TrialRecord]) -> list[Row]:
    """Return one row for each combination of settings, in the order of its first trial.

    Paced trials are in the row of the closed-loop trials with the same settings, unless they were run at
    several rates: then each rate has a row of its own. Trials in which a race was forced are in every row of
    that discipline. Other safety trials have no row, and neither have the trials of a study. Raise
    ResultsError for an unreadable histogram.
    """
    settings: dict[_Key, list[TrialRecord]] = {}
    by_force: dict[_Key, list[TrialRecord]] = {}
    for trial in trials:
        workload = workloads.of(trial.spec)
        if workload.shown_in == "rows" and trial.spec.study is None:
            part = by_force if workload.beside else settings
            part.setdefault(_key(trial), []).append(trial)
    for key, trials_by_force in by_force.items():
        rows_of_it = [whole for other, whole in settings.items() if key.same_discipline(other)]
        for whole in rows_of_it or [settings.setdefault(key, [])]:
            whole.extend(trials_by_force)
    return _with_prices([_row(part) for whole in settings.values() for part in _by_pace(whole)])


def trials_of(found: Iterable[Row], trials: Iterable[TrialRecord]) -> list[list[TrialRecord]]:
    """Return, for each of these rows, the trials of its latencies: finished, and without a forced race."""
    by_key: dict[_Key, list[TrialRecord]] = {}
    for trial in trials:
        in_rows = trial.spec.study is None and not workloads.of(trial.spec).beside
        if trial.outcome == "finished" and in_rows:
            by_key.setdefault(_key(trial), []).append(trial)
    return [[trial for trial in by_key.get(_key_of(row), []) if _is_at_pace(row, trial)] for row in found]


def _key_of(row: Row) -> _Key:
    return _Key(
        row.kind,
        row.backend,
        row.producers,
        row.consumers,
        row.size_bytes,
        row.window,
        row.start_method,
        row.payload,
        row.codec,
        row.smallest_bytes,
        row.work,
        row.work_fail_share,
    )


def _is_at_pace(row: Row, trial: TrialRecord) -> bool:
    return _pace(trial) in (None, (row.rate_per_s, row.arrivals))


def unreceived(trial: TrialRecord) -> int:
    """Return how many messages of a paced trial were confirmed and never came."""
    return trial.ledger.lost if trial.ledger else 0


def undone(trial: TrialRecord) -> int:
    """Return how many messages never came, or came and no handler finished them: the service time of a paced
    trial counts them as slower than any other.
    """
    return unreceived(trial) + (trial.work.unfinished if trial.work else 0)


def unended(trial: TrialRecord) -> int:
    """Return the same for its end-to-end latency, which also counts receipts due for skipped sends."""
    owed = trial.spec.consumers if trial.guarantees.get("fan_out") is True else 1
    return trial.latency.skipped_sends * owed + undone(trial)


def _key(trial: TrialRecord) -> _Key:
    spec = trial.spec
    face = workloads.face(spec)
    channel = face == "channel"
    return _Key(
        face,
        _backend(trial),
        spec.producers,
        spec.consumers if channel else None,
        spec.size_bytes if channel else None,
        spec.window if channel else None,
        spec.start_method,
        spec.payload,
        spec.codec,
        spec.smallest_bytes,
        spec.work,
        spec.work_fail_share,
        placement(spec),
    )


def _options(trial: TrialRecord) -> dict[str, OptionValue]:
    """Return the options that were set, in a fixed order; for shared state always with the discipline."""
    options = dict(sorted(trial.spec.backend.options.items()))
    discipline = trial.guarantees.get("discipline")
    return {"discipline": discipline, **options} if isinstance(discipline, str) else options


def _backend(trial: TrialRecord) -> str:
    return str(Variant(trial.spec.backend.name, _options(trial)))


def _by_pace(trials: list[TrialRecord]) -> list[list[TrialRecord]]:
    paces = list(dict.fromkeys(pace for trial in trials if (pace := _pace(trial))))
    if len(paces) < 2:
        return [trials]
    closed = [trial for trial in trials if _pace(trial) is None]
    apart = [[trial for trial in trials if _pace(trial) == pace] for pace in paces]
    return [closed, *apart] if closed else apart


def _pace(trial: TrialRecord) -> _Pace | None:
    spec = trial.spec
    return _Pace(spec.rate_per_s, spec.pattern) if spec.rate_per_s is not None else None


def _row(trials: Sequence[TrialRecord]) -> Row:
    first = trials[0]
    spec = first.spec
    declared = next((trial.guarantees for trial in trials if trial.guarantees), {})
    face = workloads.face(spec)
    channel = face == "channel"
    done = [trial for trial in trials if trial.outcome == "finished"]
    paced = [trial for trial in done if workloads.of(trial.spec).open_loop]
    closed = _closed(done)
    offered = next((trial.spec for trial in trials if workloads.of(trial.spec).open_loop), None)
    shown = with_one_way(paced)
    limits = Counter(trial.limit for trial in closed or paced)
    options = _options(first)
    skipped = [trial.latency.skipped_sends for trial in paced]
    return Row(
        backend=_backend(first),
        name=spec.backend.name,
        mode=_mode(options, shared=not channel),
        options=options,
        kind=face,
        guarantee_class=guarantee_class(declared).title,
        producers=spec.producers,
        consumers=spec.consumers if channel else None,
        size_bytes=spec.size_bytes if channel else None,
        window=spec.window if channel else None,
        start_method=spec.start_method,
        confirm=_text(declared.get("confirm")),
        durability=_text(declared.get("durability")),
        polling=declared.get("polling") is True,
        trials=_trials(trials),
        **_rates(done),
        rate_per_s=offered.rate_per_s if offered else None,
        arrivals=offered.pattern if offered else None,
        late_sends=sum(trial.latency.late_sends for trial in paced) if paced else None,
        skipped_sends=sum(skipped) if paced else None,
        send=percentiles(_distributions(done, lambda latency: latency.send)),
        send_to_confirm=percentiles([t.latency.confirm for t in paced], never=skipped),
        end_to_end=percentiles([t.latency.end_to_end for t in shown], never=[unended(t) for t in shown]),
        service=percentiles([t.latency.service for t in shown], never=[undone(t) for t in shown]),
        round_trip=percentiles(_distributions(done, lambda latency: latency.round_trip)),
        update=percentiles(_distributions(done, lambda latency: latency.update)),
        worker_cpu_us_per_message=_cpu(closed, lambda cost: (_worker_cpu_s(cost), cost.interval_s)),
        broker_cpu_us_per_message=_cpu(
            closed, lambda cost: (cost.broker_cpu_s, cost.broker_interval_s or cost.interval_s)
        ),
        helpers=max((t.cost.helpers for t in trials if t.cost), default=0),
        has_broker=any(_has_broker(trial) for trial in trials),
        worker_peak_rss_bytes=max(_peaks(done), default=None),
        broker_rss_bytes=max(
            (t.cost.broker_rss_bytes for t in done if t.cost and t.cost.broker_rss_bytes is not None),
            default=None,
        ),
        messages=_messages(trials),
        **work_of(spec, done),
        **distance_of(done),
        updates=_updates(trials),
        load=_text(declared.get("load")) or "",
        race=races.derive(trials),
        limit=limits.most_common(1)[0][0] if limits else "unknown",
        limits=dict(limits),
        beyond_backlog=max((t.cost.beyond_backlog for t in trials if t.cost), default=0),
        over_cores=any(t.cost.wanted_cores > t.cost.cores for t in closed or paced if t.cost),
        payload=spec.payload,
        codec=spec.codec,
        smallest_bytes=spec.smallest_bytes,
        serialising_share=_serialising(closed),
        segments_left=sum(trial.segments_left for trial in trials),
        copies_made=max((t.copies_made for t in trials if t.copies_made is not None), default=None),
        placement=placement(spec),
        verdict=verdict.worst(verdict.of_trial(trial) for trial in trials),
        reasons=list(dict.fromkeys(line for trial in trials for line in verdict.reasons(trial))),
    )


def _mode(options: dict[str, OptionValue], *, shared: bool) -> str:
    words = [
        str(value) if shared and name == "discipline" else f"{name}={value}"
        for name, value in options.items()
    ]
    return " ".join(words)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _trials(trials: Sequence[TrialRecord]) -> dict[str, int]:
    return dict(
        Counter(
            t.spec.workload if t.outcome == "finished" else f"{t.spec.workload} {t.outcome}" for t in trials
        )
    )


def _rates(done: Sequence[TrialRecord]) -> dict[str, Any]:
    """Return the rates of a row, each in the field that its workload names."""
    found: dict[str, list[float]] = {}
    for trial in done:
        field = workloads.of(trial.spec).rate_field
        if field is not None and trial.rate_per_s is not None:
            found.setdefault(field, []).append(trial.rate_per_s)
    return {field: figure(values) for field, values in found.items()}


def _closed(done: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return the closed-loop trials that decide cost and limit: saturating ones if there are any."""
    for workload in workloads.ALL:
        found = [trial for trial in done if workload.tells_cost and workloads.of(trial.spec) is workload]
        if found:
            return found
    return []


def _distributions(
    done: Sequence[TrialRecord], pick: Callable[[Latency], Distribution | None]
) -> list[Distribution]:
    return [part for trial in done if (part := pick(trial.latency)) is not None]


def _worker_cpu_s(cost: Cost) -> float | None:
    used = [worker.cpu_s for worker in cost.workers if worker.cpu_s is not None]
    return sum(used) if used and len(used) == len(cost.workers) else None


def _cpu(closed: Sequence[TrialRecord], pick: Callable[[Cost], tuple[float | None, float]]) -> Figure | None:
    """Return µs per message, for what ``pick`` returns: seconds, and the interval in which they were used.

    That interval differs slightly from the window, so messages are counted by their rate.
    """
    found = []
    for trial in closed:
        used_s, interval_s = pick(trial.cost) if trial.cost else (None, 0.0)
        if used_s is None or not trial.received_per_s or not interval_s:
            continue
        messages = trial.received_per_s * interval_s * workloads.of(trial.spec).messages_per_count
        found.append(used_s / messages * 1e6)
    return figure(found)


def _serialising(closed: Sequence[TrialRecord]) -> Figure | None:
    """Return the share of the workers' CPU time, without the lab's own check, that encoding and decoding
    took."""
    found = []
    for trial in closed:
        whole = _cpu([trial], lambda cost: (_worker_cpu_s(cost), cost.interval_s))
        if trial.serialising is None or whole is None:
            continue
        spent_us = trial.serialising.encode_us_per_message + trial.serialising.decode_us_per_message
        of_us = whole.median - trial.serialising.check_us_per_message
        # The samples are of the whole trial, and the CPU time is that of the window.
        found.append(min(spent_us / of_us, 1.0) if of_us > 0 else 1.0)
    return figure(found)


def _has_broker(trial: TrialRecord) -> bool:
    return trial.broker is not None or (trial.cost is not None and trial.cost.broker_cpu_s is not None)


def _peaks(done: Sequence[TrialRecord]) -> list[int]:
    workers = [worker for trial in done if trial.cost for worker in trial.cost.workers]
    return [worker.peak_rss_bytes for worker in workers if worker.peak_rss_bytes is not None]


def _messages(trials: Sequence[TrialRecord]) -> Messages | None:
    ledgers = [trial.ledger for trial in trials if trial.ledger is not None]
    if not ledgers:
        return None
    return Messages(
        **{name: sum(getattr(ledger, name) for ledger in ledgers) for name in Messages.__struct_fields__}
    )


def _updates(trials: Sequence[TrialRecord]) -> Updates | None:
    counters = [trial.counter for trial in trials if trial.counter is not None]
    if not counters:
        return None
    confirmed = sum(counter.confirmed for counter in counters)
    lost = sum(counter.lost for counter in counters)
    return Updates(
        attempted=sum(counter.attempted for counter in counters),
        confirmed=confirmed,
        lost=lost,
        phantom=sum(counter.phantom for counter in counters),
        lost_share=lost / confirmed if confirmed else 0.0,
        repeats=len(counters),
        repeats_that_lost=sum(counter.lost > 0 for counter in counters),
    )


def _with_prices(found: list[Row]) -> list[Row]:
    unsafe: dict[tuple[object, ...], float] = {}
    for row in found:
        if row.verdict == "unsafe" and row.shared_per_s:
            unsafe[_rivals(row)] = max(unsafe.get(_rivals(row), 0.0), row.shared_per_s.median)
    return [_priced(row, unsafe.get(_rivals(row))) for row in found]


def _rivals(row: Row) -> tuple[object, ...]:
    """Return the key of rows whose rates may be compared for ``safety_price``."""
    return row.kind, row.name, row.load, row.producers, row.start_method


def _priced(row: Row, unsafe_per_s: float | None) -> Row:
    if row.verdict != "kept" or unsafe_per_s is None or not row.shared_per_s or not row.shared_per_s.median:
        return row
    return msgspec.structs.replace(row, safety_price=unsafe_per_s / row.shared_per_s.median)
