"""What one fault did to the trials of one row, over all its moments and repeats. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

from ipclab.faults.spec import MOMENTS, Effect, Moment, Target
from ipclab.results import units
from ipclab.results.safety.cells import CellVerdict, again_s, label, verdict, worst
from ipclab.results.safety.sightings import Kind, Sighting, find_sightings, refusal
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec

AGAIN_S = 1.0
"""The recovery time is shown from this many seconds on."""
_ORDER: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class Piece:
    """One kind of thing that went wrong: its worst sighting, and the trials that saw it."""

    worst: Sighting
    trials: tuple[TrialRecord, ...]


@dataclass(frozen=True, slots=True)
class Suffered:
    """``trials`` are those that were carried out; ``refused`` has the reason of each other one; ``asked`` has
    the moments of both."""

    row: str
    spec: TrialSpec
    declared: Mapping[str, str | int | bool | list[str] | None]
    action: str
    target: Target
    asked: frozenset[Moment]
    trials: tuple[TrialRecord, ...]
    refused: tuple[str, ...]
    pieces: tuple[Piece, ...]
    verdict: CellVerdict

    @property
    def effect(self) -> Effect:
        """Return the general effect of the fault on its target."""
        assert self.spec.fault is not None
        return self.spec.fault.effect

    @property
    def again_s(self) -> float | None:
        """Return the median time until messages came again, where it is long enough to be shown."""
        found_s = again_s(self.trials)
        return found_s if found_s is not None and found_s >= AGAIN_S else None

    @property
    def confirmed(self) -> int:
        """Return how many messages were confirmed, in all its trials together."""
        return sum(t.safety.counts.get("confirmed", 0) for t in self.trials if t.safety is not None)

    def saw(self, *kinds: Kind) -> list[Piece]:
        """Return the pieces of these kinds."""
        return [piece for piece in self.pieces if piece.worst.kind in kinds]

    def moments(self, trials: Iterable[TrialRecord]) -> list[Moment]:
        """Return the moments of some of its trials, in their order; empty where it has no other moment."""
        some = _moments(trials)
        return some if some != _moments(self.trials) else []


def gather(trials: Sequence[TrialRecord]) -> Suffered:
    """Collect the trials of one row that suffered the same action on the same target."""
    spec = trials[0].spec
    assert spec.fault is not None
    done = tuple(trial for trial in trials if not refusal(trial))
    return Suffered(
        row=label(spec),
        spec=spec,
        declared=next((t.guarantees for t in trials if t.guarantees), {}),
        action=spec.fault.action,
        target=spec.fault.target,
        asked=frozenset(_moments(trials)),
        trials=done,
        refused=tuple(reason for trial in trials if (reason := refusal(trial))),
        pieces=pieces(done),
        verdict=worst(verdict(trial) for trial in trials),
    )


def pieces(trials: Iterable[TrialRecord]) -> tuple[Piece, ...]:
    """Return what these trials saw go wrong, breaches first."""
    found: dict[tuple[str, str, str], list[tuple[Sighting, TrialRecord]]] = {}
    for trial in trials:
        for seen in find_sightings(trial):
            what = "" if seen.amount else seen.text
            found.setdefault((seen.standing, seen.kind, what), []).append((seen, trial))
    made = [
        Piece(max((seen for seen, _ in some), key=lambda s: (s.amount, s.share)), tuple(t for _, t in some))
        for some in found.values()
    ]
    return tuple(sorted(made, key=lambda p: (p.worst.standing != "broken", _ORDER.index(p.worst.kind))))


def words(of: Suffered, piece: Piece, mark: str) -> str:
    """Return a piece as text, with its moments only where other moments did not see it.

    For example ``BROKEN: lost 12 (0.4%) 2/9 busy¹``.
    """
    broken = "BROKEN: " if piece.worst.standing == "broken" else ""
    moments = ", ".join(of.moments(piece.trials))
    return f"{broken}{piece.worst.text} {len(piece.trials)}/{len(of.trials)} {moments}".rstrip() + mark


def kept(of: Suffered) -> str:
    """Return the text for trials in which nothing went wrong, such as ``kept 9/9``; empty for none.

    Where other trials saw something go wrong, there is a text only if one of them is undecided: then it says
    what was kept in the others.
    """
    if of.pieces and not any(piece.worst.standing == "open" for piece in of.pieces):
        return ""
    bad = {id(trial) for piece in of.pieces for trial in piece.trials}
    many = sum(id(trial) not in bad for trial in of.trials)
    return f"kept {units.count(many)}/{units.count(len(of.trials))}" if many else ""


def _moments(trials: Iterable[TrialRecord]) -> list[Moment]:
    found = {trial.spec.fault.moment for trial in trials if trial.spec.fault is not None}
    return [moment for moment in MOMENTS if moment in found]
