"""The trials behind the marks of the safety tables, numbered in the order in which they are first marked."""

from __future__ import annotations

from ipclab.host.texts import tr
from ipclab.report.layout import Evidence
from ipclab.results import units
from ipclab.results.safety.cells import label, verdict
from ipclab.results.safety.sightings import Kind, ends, find_sightings
from ipclab.results.safety.suffered import Piece
from ipclab.trial.record import TrialRecord


class Exhibits:
    """Collects the marked trials. For each sighting in a cell, one trial: the smallest counterexample.

    Numbers begin above ``taken``, those of other marks in the same table.
    """

    def __init__(self, taken: int = 0) -> None:
        self._taken = taken
        self._trials: list[TrialRecord] = []
        self._shows: list[list[Kind]] = []

    def mark(self, piece: Piece) -> tuple[str, dict[str, str]]:
        """Return the mark for a piece, and its link. The same trial has the same mark everywhere."""
        trial = min(piece.trials, key=_size)
        mark = units.superscript(self.number(piece))
        history = trial.safety.history if trial.safety is not None else ""
        return mark, {mark: history} if history else {}

    def number(self, piece: Piece) -> int:
        """Return the number of the evidence for a piece. The same trial has the same number everywhere."""
        trial = min(piece.trials, key=_size)
        place = next((i for i, known in enumerate(self._trials) if known is trial), len(self._trials))
        if place == len(self._trials):
            self._trials.append(trial)
            self._shows.append([])
        if piece.worst.kind not in self._shows[place]:
            self._shows[place].append(piece.worst.kind)
        return self._taken + place + 1

    def all(self) -> tuple[Evidence, ...]:
        """Return every trial that was marked.

        For each kind of sighting, the smallest timeline of a row is drawn.
        """
        drawn: dict[tuple[str, str], int] = {}
        for place in sorted(range(len(self._trials)), key=lambda i: _size(self._trials[i])):
            if _timeline(self._trials[place]):
                for kind in self._shows[place]:
                    drawn.setdefault((label(self._trials[place].spec), kind), place)
        return tuple(self._evidence(place, drawn) for place in range(len(self._trials)))

    def _evidence(self, place: int, drawn: dict[tuple[str, str], int]) -> Evidence:
        trial, row = self._trials[place], label(self._trials[place].spec)
        likes = [at for kind in self._shows[place] if (at := drawn.get((row, kind))) is not None]
        mine = place in likes
        return Evidence(
            number=self._taken + place + 1,
            row=row,
            fault=_fault(trial),
            finding=_finding(trial),
            history=trial.safety.history if trial.safety is not None else "",
            timeline=_timeline(trial) if mine else "",
            like=self._taken + likes[0] + 1 if likes and not mine and _timeline(trial) else None,
            broken=verdict(trial) == "broken",
            stacks=trial.stuck,
        )


def _fault(trial: TrialRecord) -> str:
    spec = trial.spec
    what = str(spec.fault) if spec.fault is not None else spec.scenario or spec.workload
    return tr("{what}, repeat {repeat}", what=what, repeat=spec.repeat + 1)


def _finding(trial: TrialRecord) -> str:
    """Return the trial's own sentence, or all that it saw; with the processes that hung or gave up."""
    found = trial.safety
    if found is None:
        return trial.reason or tr("the trial {outcome}", outcome=trial.outcome)
    parts = (
        [found.finding]
        if found.finding
        else [
            seen.text
            for seen in find_sightings(trial)
            if seen.kind not in _TOLD and seen.standing != "broken"
        ]
    )
    parts += [
        tr("{process} hung in {primitive}", process=process, primitive=primitive)
        for process, primitive in found.hung.items()
    ]
    parts += [
        tr("{process} ended with {error}", process=process, error=error)
        for process, error in ends(found).items()
    ]
    parts += [tr("BROKEN: {breach}", breach=breach) for breach in found.broken]
    return "; ".join(parts)


_TOLD = ("hung", "ended", "other")
"""Sightings that are listed by process, or as a line of a breach."""


def _timeline(trial: TrialRecord) -> str:
    return trial.safety.counterexample if trial.safety is not None else ""


def _size(trial: TrialRecord) -> tuple[bool, bool, int, int]:
    """Return a sort key: the counterexample's size; trials without one, or without a history, come last."""
    drawn = _timeline(trial)
    no_history = trial.safety is None or not trial.safety.history
    return (not drawn, no_history, drawn.count("\n"), len(drawn))
