"""The cells of the safety table: trials of the same backend, mode and fault (or scenario) are one cell.

Pure. Every ``crash``, ``order``, ``client`` or ``tasks`` trial is in exactly one cell, and a cell in which a
trial broke a declared guarantee is always ``broken``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from ipclab.backends.registry import Variant
from ipclab.faults.spec import Moment, Target
from ipclab.results.rows.classes import Declared, GuaranteeClass, guarantee_class
from ipclab.results.safety.sightings import Sighting, ends, find_sightings, overtaken, refusal
from ipclab.results.stats import median
from ipclab.results.verdict import Word
from ipclab.trial import workloads
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.workloads import CLIENT

CellVerdict = Literal["refused", "kept", "declared", "unknown", "stopped", "failed", "hung", "broken"]
"""The worst that a cell's trials saw, from good to bad.

``refused``   no trial was carried out.
``kept``      every confirmed message came once, whole and in order, and messages kept arriving.
``declared``  something was lost, repeated or reordered, as the backend declares or a kill excuses.
``unknown``   the check could not decide a history.
``stopped``   a process ended with an error from which it could not recover, or nothing came after the fault.
``failed``    a trial itself gave up.
``hung``      a process never returned from a call.
``broken``    a declared guarantee did not hold.
"""
_FROM_GOOD_TO_BAD: tuple[CellVerdict, ...] = (
    "refused",
    "kept",
    "declared",
    "unknown",
    "stopped",
    "failed",
    "hung",
    "broken",
)
WORDS: dict[CellVerdict, Word | None] = {
    "refused": None,
    "kept": "kept",
    "declared": "unsafe",
    "unknown": "unknown",
    "stopped": "failed",
    "failed": "failed",
    "hung": "hung",
    "broken": "broken",
}
"""The verdict of a row whose colour a cell with this verdict gets."""


class Cell(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Trials of one backend in one mode with the same fault at the same moment, or with the same scenario.

    ``row``       the backend, its options and the broker's settings, as the table shows them.
    ``trials``    all of them; ``refused`` of them were not carried out, and in ``kept`` nothing went wrong.
    ``attempted``  messages whose send was begun, in all its trials; 0 where none were counted.
    ``findings``  by kind of sighting, the number of trials that had it.
    ``lost``, ``lost_share``  of the trial that lost most, the share being of its confirmed messages;
                  ``duplicated``, ``reordered``, ``corrupted``: the most in one trial.
    ``overtaken``  messages that came out after others that certainly went in later, in all its trials.
    ``shown``     in how many trials the anomaly that they provoke occurred; None where they provoke none.
    ``finding``   for a client: the most common finding of its trials.
    ``first_again_s``  median of the trials in which a message came after the fault.
    """

    workload: str
    row: str
    backend: str
    settings: dict[str, str]
    guarantee_class: str
    action: str | None = None
    target: Target | None = None
    moment: Moment | None = None
    scenario: str = ""
    trials: int
    refused: int
    kept: int
    attempted: int = 0
    findings: dict[str, int]
    lost: int
    lost_share: float
    duplicated: int
    reordered: int
    corrupted: int
    overtaken: int = 0
    shown: int | None
    finding: str = ""
    hung: list[str]
    gave_up: list[str]
    first_again_s: float | None
    verdict: CellVerdict
    broken: list[str]
    histories: list[str]


def is_in_cells(spec: TrialSpec) -> bool:
    """Return whether trials of this spec are shown in the safety tables."""
    return workloads.of(spec).shown_in == "cells"


def label(spec: TrialSpec) -> str:
    """Return the row of a trial: ``redis-list, appendonly=yes``, ``rabbitmq ack=manual prefetch=10``."""
    settings = (f", {name}={value}" for name, value in sorted(spec.broker_settings.items()))
    return _mode(spec) + "".join(settings)


def _mode(spec: TrialSpec) -> str:
    options = " ".join(f"{name}={value}" for name, value in sorted(spec.backend.options.items()))
    return f"{spec.backend.name} {options}".rstrip()


class Declarations:
    """The declarations of the backends of some trials. A trial that failed may have none, so another trial of
    its row is used, or else one of its backend in the same mode."""

    def __init__(self, trials: Iterable[TrialRecord]) -> None:
        self._by_name: dict[str, Declared] = {}
        for trial in trials:
            if trial.guarantees:
                for name in (label(trial.spec), _mode(trial.spec)):
                    self._by_name.setdefault(name, trial.guarantees)

    def group(self, spec: TrialSpec) -> GuaranteeClass:
        """Return the class of a row's declaration."""
        return guarantee_class(self._by_name.get(label(spec)) or self._by_name.get(_mode(spec), {}))


def make_cells(trials: Iterable[TrialRecord]) -> list[Cell]:
    """Return one cell for each combination of row, fault and scenario, in the order of its first trial."""
    everything = [trial for trial in trials if is_in_cells(trial.spec)]
    found: dict[tuple[object, ...], list[TrialRecord]] = {}
    for trial in everything:
        key = (trial.spec.workload, label(trial.spec), trial.spec.fault, trial.spec.scenario)
        found.setdefault(key, []).append(trial)
    declared = Declarations(everything)
    return [_cell(members, declared.group(members[0].spec).title) for members in found.values()]


def verdict(trial: TrialRecord) -> CellVerdict:
    """Return the worst verdict that one trial saw."""
    if refusal(trial):
        return "refused"
    return max(
        (of_sighting(seen) for seen in find_sightings(trial)), key=_FROM_GOOD_TO_BAD.index, default="kept"
    )


def worst(verdicts: Iterable[CellVerdict]) -> CellVerdict:
    """Return the worst of some verdicts; ``refused`` for none."""
    return max(verdicts, key=_FROM_GOOD_TO_BAD.index, default="refused")


def again_s(trials: Iterable[TrialRecord]) -> float | None:
    """Return the seconds until messages came again: the median of the trials in which they did."""
    found = [t.safety.first_again_s for t in trials if t.safety and t.safety.first_again_s is not None]
    return median(found) if found else None


def client_finding(trials: Iterable[TrialRecord]) -> str:
    """Return the finding of a client's trials: the most common one of those that showed something, or else
    of all; empty where none was carried out.
    """
    done = [trial for trial in trials if not refusal(trial)]
    shown = [trial for trial in done if trial.safety is not None and trial.safety.shown]
    found = [t.safety.finding if t.safety is not None else t.reason or t.outcome for t in shown or done]
    return (Counter(found).most_common(1)[0][0] or "nothing was found") if found else ""


def of_sighting(seen: Sighting) -> CellVerdict:
    """Return the verdict of a cell in which nothing worse than this was seen."""
    if seen.standing == "broken":
        return "broken"
    if seen.kind in ("hung", "failed"):
        return "hung" if seen.kind == "hung" else "failed"
    if seen.kind in ("ended", "silent"):
        return "stopped"
    return "unknown" if seen.standing == "open" else "declared"


def _cell(trials: Sequence[TrialRecord], class_title: str) -> Cell:
    spec = trials[0].spec
    verdicts = [verdict(trial) for trial in trials]
    seen = [find_sightings(trial) for trial in trials]
    carried_out = [t.safety for t in trials if t.safety is not None and not refusal(t)]
    lost = [s for some in seen for s in some if s.kind == "lost"]
    most = max(lost, key=lambda s: s.amount, default=None)
    shown = [found.shown for found in carried_out if found.shown is not None]
    return Cell(
        workload=spec.workload,
        row=label(spec),
        backend=str(Variant(spec.backend.name, dict(sorted(spec.backend.options.items())))),
        settings=dict(sorted(spec.broker_settings.items())),
        guarantee_class=class_title,
        action=spec.fault.action if spec.fault else None,
        target=spec.fault.target if spec.fault else None,
        moment=spec.fault.moment if spec.fault else None,
        scenario=spec.scenario,
        trials=len(trials),
        refused=verdicts.count("refused"),
        kept=verdicts.count("kept"),
        attempted=sum(found.counts.get("attempted", 0) for found in carried_out),
        findings=dict(Counter(kind for some in seen for kind in dict.fromkeys(s.kind for s in some))),
        lost=most.amount if most else 0,
        lost_share=most.share if most else 0.0,
        duplicated=_most(seen, "twice"),
        reordered=_most(seen, "reordered"),
        corrupted=_most(seen, "corrupted"),
        overtaken=sum(overtaken(found) for found in carried_out),
        shown=sum(shown) if shown else None,
        finding=client_finding(trials) if workloads.of(spec) is CLIENT else "",
        hung=_unique(p for found in carried_out for p in found.hung.values()),
        gave_up=_unique(error for found in carried_out for error in ends(found).values()),
        first_again_s=again_s(trials),
        verdict=worst(verdicts),
        broken=_unique(breach.text for found in carried_out for breach in found.broken),
        histories=_unique(found.history for found in carried_out if found.history),
    )


def _most(seen: Sequence[Sequence[Sighting]], kind: str) -> int:
    return max((s.amount for some in seen for s in some if s.kind == kind), default=0)


def _unique(texts: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(texts))
