"""What the trials of a row, and the forced ones of its backend, show of a race. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from ipclab.results.rows.row import Race
from ipclab.results.stats import wilson
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord


def forced(trials: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials in which the race was forced, or should have been."""
    return [trial for trial in trials if workloads.of(trial.spec).beside]


def derive(trials: Sequence[TrialRecord]) -> Race | None:
    """Return the race of a row; None for a channel, and for a counter on which no race was forced."""
    by_force = [shown for trial in forced(trials) if (shown := _shown(trial)) is not None]
    under_load = [trial for trial in trials if not workloads.of(trial.spec).beside]
    face = workloads.face(trials[0].spec)
    if face == "channel" or (face == "counter" and not forced(trials)):
        return None
    by_luck = [shown for trial in under_load if (shown := _shown(trial)) is not None]
    low, high = wilson(sum(by_luck), len(by_luck))
    anomalies: Counter[str] = Counter()
    for trial in under_load:
        anomalies.update(trial.safety.anomalies if trial.safety else {})
    holds = Counter(trial.safety.hold for trial in forced(trials) if trial.safety)
    findings = (t.safety.finding or t.safety.refused for t in forced(trials) if t.safety)
    return Race(
        observed=sum(by_luck),
        trials=len(by_luck),
        low=low,
        high=high,
        shown=sum(by_force),
        forced=len(by_force),
        one_step=holds["one step"],
        out_of_reach=holds["out of reach"],
        anomalies=dict(anomalies),
        findings=list(dict.fromkeys(finding for finding in findings if finding)),
    )


def _shown(trial: TrialRecord) -> bool | None:
    """Return whether the anomaly occurred; None where the trial cannot tell."""
    if trial.counter is not None:
        return trial.counter.lost > 0
    return trial.safety.shown if trial.safety is not None else None
