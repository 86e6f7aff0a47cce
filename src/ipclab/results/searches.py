"""The capacity searches of a run, derived from its trials. Pure.

The outcomes of the stored trials are judged again and make the same bracket, whether or not the run ended.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from ipclab.capacity.bracket import Bracket, make_bracket
from ipclab.capacity.course import MACHINE_TRIES, carried, step
from ipclab.capacity.evidence import Evidence
from ipclab.capacity.judge import Judged, judge_trial
from ipclab.errors import ResultsError
from ipclab.trial.distribution import unchecked
from ipclab.trial.record import TrialRecord
from ipclab.trial.study import Slo


class Key(NamedTuple):
    """The settings that the trials of a search have in common. The fields are those of ``TrialSpec``."""

    backend: str
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
    slo: Slo


@dataclass(slots=True)
class Searched:
    """One search: its trials, and each paced trial with its judgement."""

    key: Key
    repeat: int
    streams: list[TrialRecord] = field(default_factory=list)
    tried: list[tuple[TrialRecord, Judged]] = field(default_factory=list)

    @property
    def evidence(self) -> Evidence:
        """Return the outcomes, by step."""
        found = Evidence([rate for record in self.streams if (rate := carried(record))])
        for record, judged in self.tried:
            found.add(step(record), judged.outcome)
        return found

    @property
    def bracket(self) -> Bracket:
        """Return what the search found."""
        floor = [judged for record, judged in self.tried if step(record) == 0]
        unfinished = bool(floor) and all(judged.reason == "unfinished" for judged in floor)
        return make_bracket(self.evidence, unfinished_at_floor=unfinished)

    @property
    def trials(self) -> list[TrialRecord]:
        """Return all trials of the search."""
        return [*self.streams, *(record for record, _ in self.tried)]


@dataclass(frozen=True, slots=True)
class Machine:
    """What the trials on the machine alone showed. ``fails``: it does not keep the limit, so that no search
    was made. ``stall_ns`` is the latency at the percentile of the limit; None where it cannot be told."""

    slo: Slo
    fails: bool
    stall_ns: int | None


def find_searches(trials: Iterable[TrialRecord]) -> list[Searched]:
    """Return every search, in the order of its first trial. Raise ResultsError for a damaged histogram."""
    found: dict[tuple[Key, int], Searched] = {}
    for record in trials:
        study, spec = record.spec.study, record.spec
        if study is None or study.kind != "capacity" or study.part == "machine" or study.slo is None:
            continue
        key = Key(
            str(spec.backend),
            spec.producers,
            spec.consumers,
            spec.size_bytes,
            spec.window,
            spec.start_method,
            spec.payload,
            spec.codec,
            spec.smallest_bytes,
            spec.work,
            spec.work_fail_share,
            study.slo,
        )
        one = found.setdefault((key, spec.repeat), Searched(key, spec.repeat))
        if study.part == "peak":
            one.streams.append(record)
        else:
            one.tried.append((record, _judged(record, study.slo)))
    return list(found.values())


def machine(trials: Iterable[TrialRecord]) -> Machine | None:
    """Return what the machine alone did; None where that was not tried. Raise ResultsError as above."""
    tried: list[tuple[TrialRecord, Judged]] = []
    slo: Slo | None = None
    for record in trials:
        study = record.spec.study
        if study is not None and study.part == "machine" and study.slo is not None:
            slo = study.slo
            tried.append((record, _judged(record, slo)))
    if slo is None:
        return None
    held = any(judged.outcome == "hold" for _, judged in tried)
    return Machine(slo, not held and len(tried) >= MACHINE_TRIES, _stall_ns([r for r, _ in tried], slo))


def any_unknown(trials: Sequence[TrialRecord], *, named: bool) -> bool:
    """Return whether a capacity stayed unknown that was asked for: of a ``named`` backend, or of every one,
    as the machine alone did not keep the limit. Raise ResultsError for an unreadable histogram."""
    alone = machine(trials)
    if alone is not None and alone.fails:
        return True
    return named and any(not known for known in _known(find_searches(trials)).values())


def _known(found: Iterable[Searched]) -> dict[Key, bool]:
    known: dict[Key, bool] = {}
    for one in found:
        known[one.key] = known.get(one.key, False) or one.bracket.known
    return known


def _judged(record: TrialRecord, slo: Slo) -> Judged:
    try:
        return judge_trial(record, slo)
    except Exception as error:
        raise ResultsError(
            f"a latency histogram cannot be read ({type(error).__name__}): the result file is damaged"
        ) from error


def _stall_ns(tried: Sequence[TrialRecord], slo: Slo) -> int | None:
    """Return the best of the trials, as the machine was at its quietest then."""
    found = [
        ns
        for record in tried
        if record.latency.end_to_end is not None
        and (ns := unchecked(record.latency.end_to_end, slo.share, never=record.latency.skipped_sends))
    ]
    return min(found, default=None)
