"""What stored runs show about candidates: measured loads and suffered faults. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from ipclab.backends.registry import Variant
from ipclab.capacity.judge import judge_trial
from ipclab.choose.candidates import key_of
from ipclab.errors import UsageError
from ipclab.faults.spec import Moment, Target
from ipclab.payload.kinds import PLAIN
from ipclab.results.result import Environment, Result
from ipclab.results.rows.build import rows, trials_of
from ipclab.results.rows.row import Row
from ipclab.results.safety.cells import Cell, CellVerdict, make_cells
from ipclab.results.verdict import Word
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.study import Slo

_P99 = 0.99


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """A measured load: a row of paced trials of one run.

    ``void`` of its ``repeats`` missed the limit for p99 while other programs used the machine, which proves
    nothing. The others have ``samples`` jobs, of which ``slow_share`` were slower than the limit, skipped or
    lost, where there is a limit. ``failing`` is the share of the work that was made to fail; ``carried`` that
    of the offered rate that arrived; ``others_cores`` the processors that other programs used meanwhile, in
    the median of its trials.
    """

    run: str
    rate_per_s: float
    size_bytes: int
    smallest_bytes: int = 0
    payload: str = PLAIN
    codec: str = ""
    work: str = ""
    failing: float = 0.0
    producers: int
    consumers: int
    window: int
    p50_ns: int | None
    p99_ns: int | None
    p99_range_ns: tuple[int, int] | None
    void: int
    samples: int
    slow_share: float | None
    carried: float | None
    lost: int
    others_cores: float | None
    verdict: Word
    reasons: list[str]
    repeats: int


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """A cell of the fault matrix of one run."""

    run: str
    action: str
    target: Target
    moment: Moment
    trials: int
    kept: int
    lost: int
    duplicated: int
    reordered: int
    hung: list[str]
    gave_up: list[str]
    verdict: CellVerdict


class Machine(NamedTuple):
    """What tells kinds of machines apart. A run on one of them shows nothing about another."""

    processor: str
    cores: int
    memory_bytes: int

    @classmethod
    def of(cls, environment: Environment) -> Machine:
        """Return the machine of a run."""
        return cls(environment.processor, environment.cores, environment.memory_bytes)


@dataclass(frozen=True, slots=True)
class Evidence:
    """Loads and faults by the key of a candidate, the newest run first."""

    loads: Mapping[str, Sequence[Load]] = field(default_factory=dict)
    faults: Mapping[str, Sequence[Fault]] = field(default_factory=dict)


def gather(
    runs: Iterable[tuple[str, Result]], here: Machine | None = None, limit_ns: int | None = None
) -> Evidence:
    """Return the evidence in these runs, given with their names, the oldest first.

    ``limit_ns`` is the limit for p99 by which loads are judged.

    Runs of another machine than ``here`` show nothing about this one, and are left out. Raise ResultsError
    for an unreadable histogram.
    """
    loads: dict[str, list[Load]] = {}
    faults: dict[str, list[Fault]] = {}
    for name, result in runs:
        if here is not None and here != Machine.of(result.environment):
            continue
        for key, load in _loads(name, result.trials, limit_ns):
            loads.setdefault(key, []).insert(0, load)
        for cell in make_cells(result.trials):
            if cell.action and (key := _key(Variant.parse(cell.backend), cell.settings)):
                faults.setdefault(key, []).insert(0, _fault(name, cell))
    return Evidence(loads, faults)


def _loads(run: str, trials: Sequence[TrialRecord], limit_ns: int | None) -> Iterable[tuple[str, Load]]:
    paced = [trial for trial in trials if workloads.of(trial.spec).open_loop]
    # Rows do not tell apart trials under different settings of a server.
    by_settings: dict[tuple[tuple[str, str], ...], list[TrialRecord]] = {}
    for trial in paced:
        by_settings.setdefault(tuple(sorted(trial.spec.broker_settings.items())), []).append(trial)
    for settings, some in by_settings.items():
        made = [row for row in rows(some) if row.kind == "channel"]
        for row, members in zip(made, trials_of(made, some), strict=True):
            key = _key(Variant(row.name, row.options), dict(settings))
            if key and row.rate_per_s is not None:
                yield key, _load(run, row, members, limit_ns)


def _load(run: str, row: Row, members: Sequence[TrialRecord], limit_ns: int | None) -> Load:
    assert row.rate_per_s is not None
    latency = row.end_to_end
    carried = row.carried_per_s.median / row.rate_per_s if row.carried_per_s else None
    others = [t.cost.others_cores for t in members if t.cost and t.cost.others_cores is not None]
    sound, slow = list(members), []
    if limit_ns:
        judged = [judge_trial(trial, Slo(share=_P99, limit_ns=limit_ns)) for trial in members]
        sound = [trial for trial, one in zip(members, judged, strict=True) if one.outcome != "void"]
        slow = [one.slow_share for one in judged if one.outcome != "void" and one.slow_share is not None]
        shares = [one.carried_share for one in judged if one.outcome != "void"]
        if known := [share for share in shares if share is not None]:
            carried = statistics.fmean(known)
    return Load(
        run=run,
        rate_per_s=row.rate_per_s,
        size_bytes=row.size_bytes or 0,
        smallest_bytes=row.smallest_bytes,
        payload=row.payload,
        codec=row.codec,
        work=row.work,
        failing=row.work_fail_share,
        producers=row.producers,
        consumers=row.consumers or 0,
        window=row.window or 1,
        p50_ns=latency.p50_ns if latency else None,
        p99_ns=latency.p99_ns if latency else None,
        p99_range_ns=latency.p99_range_ns if latency else None,
        void=len(members) - len(sound),
        samples=sum(t.latency.end_to_end.count for t in sound if t.latency.end_to_end is not None),
        # The trials of a row are equally long.
        slow_share=statistics.fmean(slow) if slow else None,
        carried=carried,
        lost=row.messages.lost if row.messages else 0,
        others_cores=statistics.median(others) if others else None,
        verdict=row.verdict,
        reasons=list(row.reasons),
        repeats=len(members),
    )


def _fault(run: str, cell: Cell) -> Fault:
    assert cell.action is not None
    assert cell.target is not None
    assert cell.moment is not None
    return Fault(
        run=run,
        action=cell.action,
        target=cell.target,
        moment=cell.moment,
        trials=cell.trials - cell.refused,
        kept=cell.kept,
        lost=cell.lost,
        duplicated=cell.duplicated,
        reordered=cell.reordered,
        hung=list(cell.hung),
        gave_up=list(cell.gave_up),
        verdict=cell.verdict,
    )


def _key(variant: Variant, settings: Mapping[str, str]) -> str:
    """Return the key of this mode; empty for a backend that is not here any more."""
    try:
        return key_of(variant, settings)
    except UsageError:
        return ""
