"""Whether each backend is fit for the jobs of a run: in time, and without a loss when a worker dies. Pure.

A run answers that where it has paced trials with work at one rate, and trials in which a consumer ended while
it worked. Each reason why a backend does not fit is data: its kind, an amount and a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from ipclab.backends.registry import Variant
from ipclab.errors import ResultsError, UsageError
from ipclab.results import verdict
from ipclab.results.busy import BUSY_SHARE, others_cores
from ipclab.results.result import Result
from ipclab.results.rows.build import unended
from ipclab.results.stats import median
from ipclab.trial import workloads
from ipclab.trial.distribution import beyond, unchecked
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Slo

LIMIT = Slo(share=0.99, limit_ns=50_000_000)
"""The limit of a run that names none."""
CARRIED_SHARE = 0.95
"""A backend that finishes a smaller share of the offered jobs within the window does not carry the rate."""
RULE_OF_THREE = 3.0
"""Where none of n jobs was slow, the share of slow ones is below 3/n with 95 % confidence."""

ReasonKind = Literal[
    "unavailable",
    "failed",
    "hung",
    "broken",
    "lost",
    "undone",
    "lost_when_killed",
    "hung_when_killed",
    "broken_when_killed",
    "behind",
    "slow",
    "slow_while_busy",
    "few",
    "not_killed",
    "undecided_when_killed",
]
"""Why a backend does not fit, the most serious first.

``unavailable``  it could not be measured; ``what`` says why.
``failed``, ``hung``  a trial under load did not finish; ``what`` says why.
``broken``       a declared guarantee did not hold under load; ``what`` names it.
``lost``         ``amount`` jobs never reached a worker, although nothing failed.
``undone``       ``amount`` jobs reached a worker whose handler raised, and were not done again.
``lost_when_killed``  ``amount`` jobs that were handed over had no worker that finished them, after one of the
                 workers was killed.
``hung_when_killed``  the others hung after that; ``what`` names the call.
``broken_when_killed``  a declared guarantee did not hold; ``what`` names it.
``behind``       of the jobs due in the window, only a share of ``amount`` was finished in it (``limit``: at
                 least).
``slow``         the percentile was ``amount`` ns (``limit``: at most).

The others leave it open whether it fits:

``slow_while_busy``  as ``slow``, but other programs used the machine meanwhile, so it may be theirs.
``few``          ``amount`` jobs are too few to tell the percentile (``limit``: at least).
``not_killed``   no trial with a killed worker was carried out; ``what`` says why.
``undecided_when_killed``  that trial decides nothing; ``what`` says why.
"""
OPEN: frozenset[ReasonKind] = frozenset(("slow_while_busy", "few", "not_killed", "undecided_when_killed"))
Fits = Literal["yes", "unknown", "no"]


class Reason(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One reason against a backend; see ``ReasonKind``."""

    kind: ReasonKind
    amount: float = 0.0
    limit: float = 0.0
    what: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether one backend fits, with what was measured of it.

    Of several repeats, those that were slow while other programs used the machine do not count where others
    were in time. ``percentile_ns`` is that of ``slo``, from however few jobs; ``slow_share`` the share of the
    jobs that took longer than its limit, or never ended; ``carried_share`` that of the jobs due in the
    window, as many as were finished in it. ``killed`` trials had a worker killed:
    ``lost_when_killed`` is the most jobs that one of them lost, ``again_when_killed`` the most that one of
    them handed out again. ``acknowledges`` says whether it declares that an unfinished job is delivered
    again.
    """

    backend: str
    fits: Fits
    reasons: list[Reason]
    slo: str
    percentile_ns: int | None = None
    slow_share: float | None = None
    rate_per_s: float | None = None
    carried_share: float | None = None
    utilisation: float | None = None
    jobs: int = 0
    lost: int = 0
    failed: int = 0
    undone: int = 0
    killed: int = 0
    lost_when_killed: int = 0
    again_when_killed: int = 0
    acknowledges: bool = False
    prefetch: int | None = None


def answers(result: Result) -> list[Answer]:
    """Return one answer for each backend: those that fit first, the fastest of them first.

    Empty where the run is not about jobs.
    """
    loads = _by_backend(trial for trial in result.trials if _is_load(trial))
    kills = _by_backend(trial for trial in result.trials if _is_kill(trial))
    rates = {trial.spec.rate_per_s for some in loads.values() for trial in some}
    if len(rates) != 1 or not kills:
        return []
    slo = limit_of(result)
    usual_cores = _usual_cores(result)
    found = [
        _answer(backend, some, kills.get(backend, []), slo, usual_cores) for backend, some in loads.items()
    ]
    measured = {answer.backend for answer in found}
    for gone in result.unavailable:
        backend = _canonical(gone.backend)
        if backend not in measured:
            measured.add(backend)
            reasons = [Reason(kind="unavailable", what=gone.reason)]
            found.append(Answer(backend=backend, fits="no", reasons=reasons, slo=str(slo)))
    return sorted(found, key=_place)


def worth_repeating(trials: Sequence[TrialRecord], slo: Slo) -> list[TrialSpec]:
    """Return one more repeat of each trial under load that only a busy machine leaves undecided.

    Those of backends that are ruled out anyway are left out. The one nearest to the limit comes first.
    """
    known = [t.cost.others_cores for t in trials if t.cost and t.cost.others_cores is not None]
    usual_cores = median(known) if known else 0.0
    kills = _by_backend(trial for trial in trials if _is_kill(trial))
    found: list[tuple[float, TrialSpec]] = []
    for backend, loads in _by_backend(trial for trial in trials if _is_load(trial)).items():
        answer = _answer(backend, loads, kills.get(backend, []), slo, usual_cores)
        if answer.fits == "unknown" and any(reason.kind == "slow_while_busy" for reason in answer.reasons):
            latest = max((trial.spec for trial in loads), key=lambda spec: spec.repeat)
            again = msgspec.structs.replace(latest, repeat=latest.repeat + 1)
            found.append((answer.slow_share or 0.0, again))
    return [spec for _, spec in sorted(found, key=lambda pair: pair[0])]


def limit_of(result: Result) -> Slo:
    """Return the limit on latency that a run was asked for. Raise ResultsError where its text is none."""
    text = result.options.get("slo", "")
    try:
        return Slo.parse(text) if text else LIMIT
    except UsageError as error:
        raise ResultsError(f"the option slo of the result is damaged: {error}") from error


def _place(answer: Answer) -> tuple[int, bool, int]:
    in_order: tuple[Fits, ...] = ("yes", "unknown", "no")
    return in_order.index(answer.fits), answer.percentile_ns is None, answer.percentile_ns or 0


def _is_load(trial: TrialRecord) -> bool:
    spec = trial.spec
    return bool(spec.work) and workloads.of(spec) is workloads.PACED and spec.study is None


def _is_kill(trial: TrialRecord) -> bool:
    fault = trial.spec.fault
    return bool(trial.spec.work) and fault is not None and fault.moment == "working"


def _by_backend(trials: Iterable[TrialRecord]) -> dict[str, list[TrialRecord]]:
    found: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        found.setdefault(_text(trial.spec.backend), []).append(trial)
    return found


def _text(variant: Variant) -> str:
    return str(Variant(variant.name, dict(sorted(variant.options.items()))))


def _canonical(backend: str) -> str:
    return _text(Variant.parse(backend)) if ":" in backend else backend


def _answer(
    backend: str, loads: Sequence[TrialRecord], kills: Sequence[TrialRecord], slo: Slo, usual_cores: float
) -> Answer:
    done = [trial for trial in loads if trial.outcome == "finished"]
    worked = [trial.work for trial in done if trial.work is not None]
    kills_done = [trial for trial in kills if trial.safety is not None and not trial.safety.refused]
    void = [trial for trial in done if not _latency([trial], slo).keeps and _is_busy(trial, usual_cores)]
    counted = [trial for trial in done if trial not in void] or done
    found = _latency(counted, slo)
    carried = [share for trial in counted if (share := _carried(trial)) is not None]
    carried_share = median(carried) if carried else None
    reasons = [
        *_outcome(loads),
        *(_in_time(found, carried_share, slo, is_busy=counted is done and bool(void)) if done else ()),
        *_when_killed(kills, kills_done),
    ]
    first = loads[0]
    options = next((trial.options for trial in loads if trial.options), {})
    prefetch = options.get("prefetch") if options.get("ack") != "auto" else None
    ruled_out = any(reason.kind not in OPEN for reason in reasons)
    return Answer(
        backend=backend,
        fits="no" if ruled_out else "unknown" if reasons else "yes",
        reasons=reasons,
        slo=str(slo),
        percentile_ns=found.percentile_ns,
        slow_share=found.slow_share,
        rate_per_s=first.spec.rate_per_s,
        carried_share=carried_share,
        utilisation=median([each.utilisation for each in worked]) if worked else None,
        jobs=sum(trial.ledger.confirmed for trial in done if trial.ledger),
        lost=sum(trial.ledger.lost for trial in done if trial.ledger),
        failed=sum(each.failed for each in worked),
        undone=sum(each.unfinished for each in worked),
        killed=len(kills_done),
        lost_when_killed=max((_count(trial, "unfinished") for trial in kills_done), default=0),
        again_when_killed=max((_count(trial, "duplicated") for trial in kills_done), default=0),
        acknowledges=first.guarantees.get("delivery") == "at-least-once",
        prefetch=prefetch if isinstance(prefetch, int) else None,
    )


@dataclass(frozen=True, slots=True)
class _Latency:
    """``slow_share`` of ``jobs`` took longer than the limit, or never ended; None for no jobs.

    ``enough`` says whether there were enough to show that the share is not larger; ``keeps`` whether they
    kept the limit.
    """

    jobs: int
    slow_share: float | None
    percentile_ns: int | None
    enough: bool
    keeps: bool


def _latency(done: Sequence[TrialRecord], slo: Slo) -> _Latency:
    """Return the latency of all jobs of these trials, against a limit."""
    timed = [(trial, came) for trial in done if (came := trial.latency.end_to_end) is not None]
    parts = [(came, unended(trial)) for trial, came in timed]
    total = sum(part.count + never for part, never in parts)
    if not total:
        return _Latency(0, None, None, enough=False, keeps=False)
    # What the bound of the clocks allows to be slow counts as slow.
    slow = sum(beyond(came, slo.limit_ns - trial.clock_bound_ns) + unended(trial) for trial, came in timed)
    values = [
        value for part, never in parts if (value := unchecked(part, slo.share, never=never)) is not None
    ]
    return _Latency(
        jobs=total,
        slow_share=slow / total,
        percentile_ns=round(median(values)) if len(values) == len(parts) else None,
        enough=total >= RULE_OF_THREE / (1 - slo.share),
        keeps=slow / total <= 1 - slo.share,
    )


def _carried(trial: TrialRecord) -> float | None:
    """Return the jobs finished in the window as a share of those due in it; None where none was due."""
    came = trial.latency.end_to_end
    due = (came.count if came else 0) + unended(trial)
    return trial.rate_per_s * trial.window_s / due if due and trial.rate_per_s is not None else None


def _outcome(loads: Sequence[TrialRecord]) -> Iterator[Reason]:
    """Yield what went wrong under load, but for slowness."""
    for trial in loads:
        if trial.outcome != "finished":
            yield Reason(kind="hung" if trial.outcome == "hung" else "failed", what=trial.reason)
        if verdict.of_trial(trial) == "broken":
            yield Reason(kind="broken", what="; ".join(verdict.reasons(trial)))
    done = [trial for trial in loads if trial.outcome == "finished"]
    if lost := sum(trial.ledger.lost for trial in done if trial.ledger):
        yield Reason(kind="lost", amount=lost)
    if undone := sum(trial.work.unfinished for trial in done if trial.work):
        yield Reason(kind="undone", amount=undone)


def _in_time(found: _Latency, carried: float | None, slo: Slo, *, is_busy: bool) -> Iterator[Reason]:
    if carried is not None and carried < CARRIED_SHARE and not is_busy:
        yield Reason(kind="behind", amount=carried, limit=CARRIED_SHARE)
    if found.jobs and not found.keeps:
        kind: ReasonKind = "slow_while_busy" if is_busy else "slow"
        yield Reason(kind=kind, amount=found.percentile_ns or 0, limit=slo.limit_ns)
    elif not found.enough:
        yield Reason(kind="few", amount=found.jobs, limit=RULE_OF_THREE / (1 - slo.share))


def _usual_cores(result: Result) -> float:
    """Return how many processors other programs used in most trials; where unknown, the load at the start."""
    used = others_cores(result)
    return result.environment.load_1min if used is None else used


def _is_busy(trial: TrialRecord, usual_cores: float) -> bool:
    """Return whether other programs used so much of the machine that a slow job may be theirs.

    ``usual_cores`` are those of the other trials of the run, which count where this one does not know.
    """
    cost = trial.cost
    if cost is None:
        return False
    used = usual_cores if cost.others_cores is None else cost.others_cores
    return used > BUSY_SHARE * cost.cores


def _when_killed(kills: Sequence[TrialRecord], done: Sequence[TrialRecord]) -> Iterator[Reason]:
    if not done:
        refused = [trial.safety.refused if trial.safety else trial.reason for trial in kills]
        yield Reason(kind="not_killed", what=next(iter(refused), ""))
        return
    for trial in done:
        assert trial.safety is not None
        for call in dict.fromkeys(trial.safety.hung.values()):
            yield Reason(kind="hung_when_killed", what=call)
        if trial.safety.verdict == "invalid":
            yield Reason(kind="broken_when_killed", what="; ".join(verdict.reasons(trial)))
        elif trial.safety.verdict == "unknown":
            yield Reason(kind="undecided_when_killed", what=trial.safety.finding)
    told = [_count(trial, "unfinished") for trial in done if trial.safety and not trial.safety.hung]
    if lost := max(told, default=0):
        yield Reason(kind="lost_when_killed", amount=lost)


def _count(trial: TrialRecord, name: str) -> int:
    return trial.safety.counts.get(name, 0) if trial.safety is not None else 0
