"""What one safety trial saw go wrong, one sighting for each kind, and whether the backend declared it.

Pure. Sightings come from the counts of the history's check, from the processes that hung or gave up, and
from the breaches of the trial itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, assert_never

from ipclab.checks.breach import Breach, BreachKind
from ipclab.results import units
from ipclab.trial.record import Safety, TrialRecord

Kind = Literal[
    "other",
    "corrupted",
    "phantom",
    "lost",
    "undelivered",
    "undone",
    "twice",
    "reordered",
    "overtaken",
    "shown",
    "hung",
    "ended",
    "silent",
    "failed",
    "undecided",
]
"""The kinds, in the order in which they are listed."""
Standing = Literal["broken", "declared", "open"]
"""``broken``: it breaks what the backend declares; ``declared``: it is as declared; ``open``: undecided."""

_COUNTED: dict[Kind, str] = {
    "corrupted": "corrupted",
    "phantom": "unexpected",
    "lost": "lost",
    "undelivered": "undelivered",
    "twice": "duplicated",
    "reordered": "reordered",
}
"""The kinds that are counted, and the names of their counts in ``Safety.counts``."""


def _counted_as(kind: BreachKind) -> Kind | None:
    """Return the counted kind of a breach; None where it is shown in its own words."""
    match kind:
        case "corrupted":
            return "corrupted"
        case "unexpected":
            return "phantom"
        case "lost":
            return "lost"
        case "duplicated":
            return "twice"
        case "reordered":
            return "reordered"
        case "received_before_sent" | "phantom" | "race" | "fix_failed" | "other":
            return None
        case _:
            assert_never(kind)


@dataclass(frozen=True, slots=True)
class Sighting:
    """One kind of thing that went wrong. ``amount`` and ``share`` (of the confirmed messages) belong to
    counted kinds; ``what`` is the primitive, the error or the line of the others."""

    kind: Kind
    standing: Standing
    amount: int = 0
    share: float = 0.0
    what: str = ""

    @property
    def text(self) -> str:
        """Return the sighting in a few words: ``lost 12 (0.4%)``, ``hung in Queue.get (read lock)``."""
        if self.kind == "lost":
            perhaps = "perhaps " if self.standing == "open" else ""
            return f"{perhaps}lost {units.count(self.amount)} ({units.percent(self.share)})"
        if self.kind in _COUNTED or self.kind in ("overtaken", "undone"):
            name = "sent by nobody" if self.kind == "phantom" else self.kind
            return f"{name} {units.count(self.amount)}"
        if self.kind == "hung":
            return f"hung in {self.what}"
        if self.kind in ("ended", "failed"):
            return f"{'ends' if self.kind == 'ended' else 'failed'}: {self.what.partition(':')[0]}"
        return _PLAIN.get(self.kind, self.what)


_PLAIN: dict[Kind, str] = {"silent": "none came after it", "undecided": "undecided", "shown": "shown"}


def find_sightings(trial: TrialRecord) -> list[Sighting]:
    """Return all that went wrong in one trial; empty where everything was kept, and for a refused trial.

    A trial whose verdict is bad has at least one ``broken`` sighting.
    """
    found = trial.safety
    if found is None:
        return [Sighting("failed", "declared", what=trial.reason or trial.outcome)]
    if found.refused:
        return []
    seen = [*_broken(found), *_counted(found)]
    if undone := _undone(found):
        seen.append(Sighting("undone", "declared", undone))
    if over := overtaken(found):
        seen.append(Sighting("overtaken", "declared", over))
    if found.verdict == "unknown" and not any(s.standing == "open" for s in seen):
        seen.append(Sighting("undecided", "open"))
    seen += [Sighting("hung", "declared", what=primitive) for primitive in dict.fromkeys(found.hung.values())]
    names = {error.partition(":")[0]: error for error in reversed(ends(found).values())}
    seen += [Sighting("ended", "declared", what=error) for error in reversed(names.values())]
    if _is_busy(trial) and found.first_again_s is None and not _explained(found):
        seen.append(Sighting("silent", "declared"))
    if found.shown and not seen:
        seen.append(Sighting("shown", "declared", what=found.finding))
    return seen


def refusal(trial: TrialRecord) -> str:
    """Return why the trial was not carried out; empty where it was."""
    return trial.safety.refused if trial.safety is not None else ""


def ends(found: Safety) -> dict[str, str]:
    """Return the error that each process ended with, by process, without the process's name."""
    return {process: error.removeprefix(f"{process}: ") for process, error in found.gave_up.items()}


def overtaken(found: Safety) -> int:
    """Return how many messages came out after others that certainly went in later, from any sender."""
    return found.anomalies.get("reordered", 0) if found.model == "queue" else 0


def _undone(found: Safety) -> int:
    """Return how many messages a consumer with work received and none was done with, without lost ones."""
    if found.hung:
        return 0
    others = found.counts.get("lost", 0) + found.counts.get("undelivered", 0)
    return max(found.counts.get("unfinished", 0) - others, 0)


def _is_busy(trial: TrialRecord) -> bool:
    """Return whether messages were sent all the time, so that the recovery time has a meaning."""
    return trial.spec.fault is not None and trial.spec.fault.moment == "busy"


def _explained(found: Safety) -> bool:
    """Return whether a hang, an end or a missing fault explains why nothing came after the fault."""
    return bool(found.hung or found.gave_up or found.verdict == "unknown")


def _broken(found: Safety) -> Iterator[Sighting]:
    """Yield the breaches that do not belong to a counted kind."""
    if found.verdict != "invalid":
        return
    others = [breach.text for breach in found.broken if not _is_counted(breach, found)]
    for line in dict.fromkeys(others) or ([] if found.broken else ["what it declares"]):
        yield Sighting("other", "broken", what=line)


def _is_counted(breach: Breach, found: Safety) -> bool:
    kind = _counted_as(breach.kind)
    return kind is not None and _amount(found, kind) > 0


def _amount(found: Safety, kind: Kind) -> int:
    """Return the amount: as counted, or else that of the breach."""
    breaches = (breach.amount for breach in found.broken if _counted_as(breach.kind) == kind)
    return found.counts.get(_COUNTED[kind], 0) or max(breaches, default=0)


def _counted(found: Safety) -> Iterator[Sighting]:
    for kind in _COUNTED:
        amount = _amount(found, kind)
        if not amount:
            continue
        confirmed = found.counts.get("confirmed", 0)
        share = min(amount / confirmed, 1.0) if kind == "lost" and confirmed else 0.0
        yield Sighting(kind, _standing(found, kind), amount, share)


def _standing(found: Safety, kind: Kind) -> Standing:
    if found.verdict == "invalid" and any(_counted_as(breach.kind) == kind for breach in found.broken):
        return "broken"
    return "open" if kind == "lost" and found.verdict == "unknown" else "declared"
