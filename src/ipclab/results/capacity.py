"""One row of a capacity table: what the searches of one backend found. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

import msgspec

from ipclab.backends.base import OptionValue
from ipclab.capacity.bracket import Bracket, Missing
from ipclab.capacity.grid import rate_of, step_of
from ipclab.payload.kinds import PLAIN
from ipclab.results import units, verdict
from ipclab.results.rows import classes
from ipclab.results.rows.build import unended
from ipclab.results.rows.row import Percentiles, percentiles, way
from ipclab.results.searches import Key, Searched, find_searches, machine
from ipclab.results.verdict import Word
from ipclab.trial.record import Limit, TrialRecord


class Capacity(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rates between which the capacity of a backend lies, within the limit ``slo``.

    ``low_per_s``, ``high_per_s``, ``missing``, ``held_above_per_s``  see ``ipclab.capacity.bracket``; with
                  several repeats the lowest lower end and the highest upper end of their ``brackets``.
    ``peak_per_s``  the highest rate of the short streams with which the search began.
    ``end_to_end``  the latency at ``low_per_s``, of the trials that held there.
    ``tried``     the paced trials; ``void`` of them prove nothing, as other programs used too much of the
                  machine: ``others_cores`` at most.
    ``limit``     what limited the backend: the most common limit of the trials that failed and fell behind,
                  else of the streams.
    ``rank``      1 + the number of brackets of the group that lie above this one as a whole. None where an
                  end is missing, or there is no other bracket.
    """

    backend: str
    name: str
    mode: str
    options: dict[str, OptionValue]
    guarantee_class: str
    group: str = ""
    rank: str | None = None
    producers: int
    consumers: int
    size_bytes: int
    window: int
    start_method: str
    payload: str
    codec: str
    smallest_bytes: int
    work: str
    work_fail_share: float
    arrivals: str
    slo: str
    low_per_s: float | None
    high_per_s: float | None
    missing: Missing
    held_above_per_s: list[float] = []
    brackets: list[Bracket]
    peak_per_s: float | None
    end_to_end: Percentiles | None
    tried: int
    void: int
    others_cores: float | None
    cores: int
    limit: Limit
    verdict: Word
    reasons: list[str] = []

    @property
    def complete(self) -> bool:
        """Return whether both ends are known in every repeat: only then is it compared with others."""
        return all(one.complete for one in self.brackets)

    @property
    def way(self) -> str:
        """Return how its messages travel: the backend and its mode, and payload and codec where chosen."""
        return way(self.name, self.mode, self.payload, self.codec)

    @property
    def shape(self) -> str:
        """Return the shape, such as ``4→1``."""
        return f"{self.producers}→{self.consumers}"


def capacities(trials: Sequence[TrialRecord]) -> list[Capacity]:
    """Return one row for each backend and setting, grouped by guarantees, the best of each group first.

    Raise ResultsError for an unreadable histogram.
    """
    by_key: dict[Key, list[Searched]] = {}
    for one in find_searches(trials):
        by_key.setdefault(one.key, []).append(one)
    alone = machine(trials)
    hindered = alone is not None and alone.fails
    found = [_row(key, members, hindered=hindered) for key, members in by_key.items()]
    shapes, messages = {row.shape for row in found}, {_message(row) for row in found}
    groups: dict[tuple[object, ...], list[Capacity]] = {}
    for row in found:
        groups.setdefault((row.guarantee_class, row.shape, _message(row), row.slo), []).append(row)
    in_order = sorted(groups.values(), key=lambda rows: classes.titled(rows[0].guarantee_class).place)
    return [
        msgspec.structs.replace(row, group=_title(row, shape=len(shapes) > 1, message=len(messages) > 1))
        for rows in in_order
        for row in _ranked(rows)
    ]


def _ranked(rows: Iterable[Capacity]) -> list[Capacity]:
    """Return the rows by their lower end, each complete one with its rank among the complete ones."""
    in_order = sorted(rows, key=lambda row: -(row.low_per_s or 0.0))
    whole = [row for row in in_order if row.complete and row.verdict == "kept"]
    placed = []
    for row in in_order:
        above = sum((other.low_per_s or 0) >= (row.high_per_s or 0) for other in whole if other is not row)
        ranked = row in whole and len(whole) > 1
        placed.append(msgspec.structs.replace(row, rank=str(1 + above)) if ranked else row)
    return placed


def _title(row: Capacity, *, shape: bool, message: bool) -> str:
    parts = [row.guarantee_class, *([row.shape] if shape else []), *([_message(row)] if message else [])]
    return " · ".join(parts)


def _message(row: Capacity) -> str:
    """Return what a message is and what is done with it, as text."""
    parts = [units.sizes(row.smallest_bytes or row.size_bytes, row.size_bytes)]
    parts += [f"of {units.payload(row.payload)}"] if row.payload != PLAIN else []
    parts += [f"by {row.codec}"] if row.codec else []
    parts += [f"with {row.work} of work"] if row.work else []
    return " ".join(parts)


def _row(key: Key, members: Sequence[Searched], *, hindered: bool) -> Capacity:
    everything = [record for one in members for record in one.trials]
    first = everything[0]
    declared = next((record.guarantees for record in everything if record.guarantees), {})
    brackets = [one.bracket for one in members]
    known = [one for one in brackets if one.known]
    low = min((one.low_per_s for one in known if one.low_per_s is not None), default=None)
    ends = [one.high_per_s for one in known if one.high_per_s is not None]
    high = max(ends) if ends and len(ends) == len(known) else None
    tried = [pair for one in members for pair in one.tried]
    held = [
        record
        for record, judged in tried
        if low is not None and judged.outcome == "hold" and _at(record) == step_of(low)
    ]
    void = [judged for _, judged in tried if judged.outcome == "void"]
    broken = [record for record in everything if verdict.of_trial(record) == "broken"]
    spec = first.spec
    options = dict(sorted(spec.backend.options.items()))
    peaks = [peak for one in members if (peak := one.evidence.peak_per_s) is not None]
    return Capacity(
        backend=key.backend,
        name=spec.backend.name,
        mode=" ".join(f"{name}={value}" for name, value in options.items()),
        options=options,
        guarantee_class=classes.guarantee_class(declared).title,
        producers=key.producers,
        consumers=key.consumers,
        size_bytes=key.size_bytes,
        window=key.window,
        start_method=key.start_method,
        payload=key.payload,
        codec=key.codec,
        smallest_bytes=key.smallest_bytes,
        work=key.work,
        work_fail_share=key.work_fail_share,
        arrivals=next((record.spec.arrivals for record, _ in tried), spec.arrivals),
        slo=str(key.slo),
        low_per_s=low,
        high_per_s=high,
        missing="machine" if hindered and not known else _missing(brackets, low, high),
        held_above_per_s=sorted({rate for one in brackets for rate in one.held_above_per_s}),
        brackets=brackets,
        peak_per_s=max(peaks, default=None),
        end_to_end=percentiles([r.latency.end_to_end for r in held], never=[unended(r) for r in held]),
        tried=len(tried),
        void=len(void),
        others_cores=max((v.others_cores for v in void if v.others_cores is not None), default=None),
        cores=next((record.cost.cores for record in everything if record.cost), 0),
        limit=_limit(members),
        verdict="broken" if broken else "kept" if known else "unknown",
        reasons=list(dict.fromkeys(line for record in broken for line in verdict.reasons(record))),
    )


def _at(record: TrialRecord) -> int:
    return step_of(record.spec.rate_per_s or rate_of(0))


def _missing(brackets: Sequence[Bracket], low: float | None, high: float | None) -> Missing:
    if low is not None and high is not None:
        return ""
    return next((one.missing for one in brackets if one.missing), "time")


def _limit(members: Sequence[Searched]) -> Limit:
    failed = [r.limit for one in members for r, judged in one.tried if judged.outcome == "fail"]
    seen = [limit for limit in failed if limit not in ("pacing", "waiting", "unknown")]
    seen = seen or [record.limit for one in members for record in one.streams]
    return Counter(seen).most_common(1)[0][0] if seen else "unknown"
