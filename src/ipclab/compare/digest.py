"""The part of a run that a comparison needs: its conditions, and each row's values by repeat.

A digest is some kilobytes where a result is megabytes, so baselines keep digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import msgspec

from ipclab.backends.base import Face
from ipclab.payload.kinds import PLAIN
from ipclab.results import busy, units
from ipclab.results.result import Environment, Result, Unavailable
from ipclab.results.rows import build
from ipclab.results.rows.row import Figure, Percentiles, Row
from ipclab.results.safety.cells import Cell, CellVerdict, make_cells
from ipclab.results.verdict import Word
from ipclab.trial import workloads
from ipclab.trial.record import BrokerFacts, TrialRecord

Metric = Literal["cpu", "goodput", "p50", "p99"]
"""``cpu``  µs of CPU time a message, of workers and broker; ``goodput``  messages, updates, operations or
round trips per second; ``p50``, ``p99``  ns of the end-to-end latency, or of the round trip."""
METRICS: tuple[Metric, ...] = get_args(Metric)
HIGHER_IS_BETTER: frozenset[Metric] = frozenset(("goodput",))
_DIGITS = 5
_MOST_REASONS = 3


class RowKey(NamedTuple):
    """The settings of a row: rows of two runs with the same key are compared."""

    kind: Face
    backend: str
    shape: str
    size_bytes: int | None
    window: int | None
    rate_per_s: float | None
    arrivals: str | None
    start_method: str
    load: str
    work: str = ""
    work_fail_share: float = 0.0
    payload: str = PLAIN
    codec: str = ""
    smallest_bytes: int = 0
    placement: str = ""

    @property
    def text(self) -> str:
        """Return the key as text: ``pipe 1→1``, or ``redis-list 1→1 1 KiB, window 100, 500 /s``."""
        parts = [f"{self.backend} {self.shape}"]
        if self.payload != PLAIN or self.codec:
            parts[0] += f" {units.payload(self.payload)} {self.codec}".rstrip()
        if self.size_bytes is not None:
            parts[0] += f" {units.sizes(self.smallest_bytes or self.size_bytes, self.size_bytes)}"
        if self.window not in (None, 1):
            parts.append(f"window {self.window}")
        if self.rate_per_s is not None:
            parts.append(units.given_rate(self.rate_per_s))
        if self.load:
            parts.append(self.load)
        if self.work:
            parts.append(f"work {self.work}")
        if self.placement:
            parts.append(f"on machines: {self.placement}")
        return ", ".join(parts)


class CellKey(NamedTuple):
    """The settings of a cell of the safety tables."""

    workload: str
    row: str
    action: str | None
    target: str | None
    moment: str | None
    scenario: str

    @property
    def text(self) -> str:
        """Return the key as text, such as ``queue · kill consumer idle``."""
        fault = " ".join(word for word in (self.action, self.target, self.moment) if word)
        return f"{self.row} · {fault or self.scenario or self.workload}"


class RowDigest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row. ``values`` has one value a repeat; ``cpu_of`` says whose CPU time is known; ``durations_s``
    is by workload; ``counts`` are of all its trials together, ``loss`` the share of the confirmed."""

    key: RowKey
    verdict: Word
    reasons: list[str] = []
    guarantee_class: str
    cpu_of: Literal["workers", "workers and broker"] = "workers"
    values: dict[Metric, list[float]]
    durations_s: dict[str, float]
    warmups_s: dict[str, float] = {}
    counts: dict[str, int] = {}
    loss: float = 0.0


class CellDigest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cell of the safety tables; ``finding`` is what its trials saw, in words for people."""

    key: CellKey
    verdict: CellVerdict
    trials: int
    kept: int
    refused: int
    finding: str = ""


class Digest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One run. ``brokers`` have no addresses: those are no condition that may be compared.

    ``others_cores`` is how many processors other programs used in the median of the trials; None where not
    known.
    """

    experiment: str
    began_utc: str
    ended_utc: str
    complete: bool
    options: dict[str, str] = {}
    environment: Environment
    brokers: list[BrokerFacts]
    rows: list[RowDigest]
    cells: list[CellDigest] = []
    unavailable: list[Unavailable] = []
    others_cores: float | None = None


def digest(result: Result) -> Digest:
    """Return the digest of a result. Raise ResultsError for an unreadable histogram."""
    rows = build.rows(result.trials)
    members = build.trials_of(rows, result.trials)
    return Digest(
        experiment=result.experiment,
        began_utc=result.began_utc,
        ended_utc=result.ended_utc,
        complete=result.complete,
        options=result.options,
        environment=result.environment,
        brokers=[msgspec.structs.replace(broker, url="") for broker in result.brokers],
        rows=[_row(row, trials) for row, trials in zip(rows, members, strict=True)],
        cells=[_cell(cell) for cell in make_cells(result.trials)],
        unavailable=result.unavailable,
        others_cores=busy.others_cores(result),
    )


def _row(row: Row, trials: Sequence[TrialRecord]) -> RowDigest:
    found, cpu_of = _values(row)
    lost, confirmed = 0, 0
    counts: dict[str, int] = {}
    if row.messages is not None:
        for name in ("lost", "duplicated", "reordered", "corrupted", "unaccounted"):
            counts[name] = getattr(row.messages, name)
        lost, confirmed = row.messages.lost, row.messages.confirmed
    if row.updates is not None:
        counts["lost"] = row.updates.lost
        lost, confirmed = row.updates.lost, row.updates.confirmed
    specs = [trial.spec for trial in trials]
    return RowDigest(
        key=RowKey(
            row.kind,
            row.backend,
            row.shape,
            row.size_bytes,
            row.window,
            row.rate_per_s,
            row.arrivals,
            row.start_method,
            row.load,
            row.work,
            row.work_fail_share,
            row.payload,
            row.codec,
            row.smallest_bytes,
            row.placement,
        ),
        verdict=row.verdict,
        reasons=row.reasons[:_MOST_REASONS],
        guarantee_class=row.guarantee_class,
        cpu_of=cpu_of,
        values={name: [_rounded(value) for value in values] for name, values in found.items() if values},
        durations_s={spec.workload: spec.duration_s for spec in specs if not workloads.of(spec).beside},
        warmups_s={spec.workload: spec.warmup_s for spec in specs if not workloads.of(spec).beside},
        counts=counts,
        loss=lost / confirmed if confirmed else 0.0,
    )


def _values(row: Row) -> tuple[Mapping[Metric, Sequence[float]], Literal["workers", "workers and broker"]]:
    workers, broker = _each(row.worker_cpu_us_per_message), _each(row.broker_cpu_us_per_message)
    whole = bool(broker) and len(broker) == len(workers)
    cpu = [one + other for one, other in zip(workers, broker, strict=True)] if whole else workers
    # Where the latency of one way is withheld, that of a round trip must not take its place.
    latency: Percentiles | None = row.end_to_end or (None if row.one_way_withheld else row.round_trip)
    found: dict[Metric, Sequence[float]] = {
        "cpu": cpu,
        "goodput": _each(row.goodput_per_s or row.shared_per_s or row.round_trips_per_s),
        "p50": latency.p50_by_repeat_ns if latency else (),
        "p99": latency.p99_by_repeat_ns if latency else (),
    }
    return found, "workers and broker" if whole else "workers"


def _each(figure: Figure | None) -> list[float]:
    return figure.values if figure is not None else []


def _rounded(value: float) -> float:
    return units.significant(value, _DIGITS)


def _cell(cell: Cell) -> CellDigest:
    found = [f"{kind} in {many} of {cell.trials}" for kind, many in cell.findings.items()]
    return CellDigest(
        key=CellKey(cell.workload, cell.row, cell.action, cell.target, cell.moment, cell.scenario),
        verdict=cell.verdict,
        trials=cell.trials,
        kept=cell.kept,
        refused=cell.refused,
        finding="; ".join(cell.broken) or cell.finding or ", ".join(found),
    )
