"""A comparison of two runs: each row and metric with its word, and the verdict of the whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from ipclab.compare import conditions, guarantees, limits, rules
from ipclab.compare.conditions import Difference
from ipclab.compare.digest import CellDigest, CellKey, Digest, RowDigest, RowKey
from ipclab.compare.guarantees import GuaranteeChange
from ipclab.compare.limits import Limit, LimitJudgement
from ipclab.compare.rules import Floors, Judgement, Word
from ipclab.exit_codes import ExitCode

SCHEMA_VERSION = 1
Note = Literal[
    "busy old", "busy new", "partial old", "partial new", "few baselines", "no baseline", "sequential"
]
"""``busy``: other programs used much of the machine; ``partial``: the run was interrupted.

``few baselines``: there are too few stored runs for a floor, so speed gates nothing; ``no baseline``: there
is none at all; ``sequential``: the runs were one after the other, so a change of the machine between them
shows as a change of the code."""


class Side(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One of the two runs, or several stored ones taken together."""

    label: str
    began_utc: str
    ipclab: str
    python: str
    runs: int = 1


class RowComparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row that both runs have."""

    row: str
    key: RowKey
    guarantee: GuaranteeChange
    old_loss: float
    new_loss: float
    metrics: list[Judgement]

    @property
    def word(self) -> Word:
        """Return the worst word that counts."""
        return worst([self.guarantee.word, *(one.word for one in self.metrics if one.gated)])


class CellComparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One cell of the safety tables that both runs have."""

    cell: str
    key: CellKey
    guarantee: GuaranteeChange


class Missing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row or cell of the old run that the new one does not have, and why, where that is known."""

    row: str
    reason: str = ""


class Comparison(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``ipclab_comparison`` is the version of this schema.

    ``differences``   conditions that differ and may be what is tested.
    ``added_rows``, ``added_cells``  what only the new run has, with what became of their declarations.
    ``floor_runs``    how many stored runs the A/A floors come from; 0 where there are none.
    ``verdict``       the worst of all that counts: one of the four words.
    """

    ipclab_comparison: int
    experiment: str
    old: Side | None
    new: Side
    notes: list[Note]
    differences: list[Difference]
    rows: list[RowComparison]
    cells: list[CellComparison]
    missing: list[Missing]
    added_rows: list[RowComparison]
    added_cells: list[CellComparison]
    limits: list[LimitJudgement]
    floor_runs: int
    verdict: Word

    @property
    def exit_code(self) -> ExitCode:
        """Return 1 where something is worse or a limit is broken, 3 where something is undecided, else 0."""
        match self.verdict:
            case "worse":
                return ExitCode.BROKEN
            case "undecided":
                return ExitCode.UNKNOWN
            case "better" | "same":
                return ExitCode.SUCCESS


def compare(
    old: Digest | None,
    new: Digest,
    *,
    labels: tuple[str, str] = ("old", "new"),
    floors: Floors | None = None,
    old_runs: int = 1,
    floor_runs: int = 0,
    speed_gates: bool = True,
    fail_if: Sequence[Limit] = (),
    notes: Sequence[Note] = (),
) -> Comparison:
    """Return the comparison of two runs.

    Without an old run, rows are judged by their declarations and the limits only. ``floors`` has the A/A
    floors, from ``floor_runs`` stored runs. ``old_runs`` is how many runs ``old`` is made of.
    Raise UsageError, naming each difference, where the conditions do not allow a comparison.
    """
    if old is not None:
        conditions.require_same(old, new)
    before = {row.key: row for row in old.rows} if old else {}
    after = {row.key: row for row in new.rows}
    pairs = [(before[key], row) for key, row in after.items() if key in before]
    judged = rules.judge(pairs, floors or {}, speed_gates=speed_gates)
    rows = [_row(was, now, metrics) for (was, now), metrics in zip(pairs, judged, strict=True)]
    earlier = {cell.key: cell for cell in old.cells} if old else {}
    later = {cell.key: cell for cell in new.cells}
    cells = [_cell(earlier[key], cell) for key, cell in later.items() if key in earlier]
    added_rows = [_row(None, row, []) for key, row in after.items() if key not in before]
    added_cells = [_cell(None, cell) for key, cell in later.items() if key not in earlier]
    reasons = {gone.backend: gone.reason for gone in new.unavailable}
    missing = [
        *(Missing(row=k.text, reason=reasons.get(k.backend, "")) for k in before if k not in after),
        *(Missing(row=k.text) for k in earlier if k not in later),
    ]
    broken = limits.judge(fail_if, new.rows)
    return Comparison(
        ipclab_comparison=SCHEMA_VERSION,
        experiment=new.experiment,
        old=_side(old, labels[0], old_runs) if old else None,
        new=_side(new, labels[1], 1),
        notes=[*_notes(old, new, floored=floor_runs > 0), *notes],
        differences=conditions.allowed(old, new) if old else [],
        rows=rows,
        cells=cells,
        missing=missing,
        added_rows=added_rows,
        added_cells=added_cells,
        limits=broken,
        floor_runs=floor_runs,
        verdict=_verdict(rows, [*cells, *added_rows, *added_cells], missing, broken),
    )


def worst(words: Iterable[Word]) -> Word:
    """Return the worst of some words: worse, undecided, better, same; ``same`` of none."""
    found = set(words)
    order: tuple[Word, ...] = ("worse", "undecided", "better", "same")
    return next((word for word in order if word in found), "same")


def _verdict(
    rows: Sequence[RowComparison],
    others: Sequence[CellComparison | RowComparison],
    missing: Sequence[Missing],
    judged: Sequence[LimitJudgement],
) -> Word:
    words: list[Word] = [row.word for row in rows]
    words += [other.guarantee.word for other in others]
    words += ["undecided"] if missing else []
    words += ["worse" for one in judged if one.word == "broken"]
    words += ["undecided" for one in judged if one.word == "undecided"]
    if not rows and not others:
        # Nothing was compared, so nothing may pass.
        words.append("undecided")
    return worst(words)


def _row(old: RowDigest | None, new: RowDigest, metrics: list[Judgement]) -> RowComparison:
    return RowComparison(
        row=new.key.text,
        key=new.key,
        guarantee=guarantees.of_row(old, new),
        old_loss=old.loss if old else 0.0,
        new_loss=new.loss,
        metrics=metrics,
    )


def _cell(old: CellDigest | None, new: CellDigest) -> CellComparison:
    return CellComparison(cell=new.key.text, key=new.key, guarantee=guarantees.of_cell(old, new))


def _side(run: Digest, label: str, runs: int) -> Side:
    machine = run.environment
    return Side(label=label, began_utc=run.began_utc, ipclab=machine.ipclab, python=machine.python, runs=runs)


def _notes(old: Digest | None, new: Digest, *, floored: bool) -> list[Note]:
    found: list[Note] = []
    if old is not None:
        if conditions.busy(old):
            found.append("busy old")
        if not old.complete:
            found.append("partial old")
    if conditions.busy(new):
        found.append("busy new")
    if not new.complete:
        found.append("partial new")
    apart = old is not None and (old.ended_utc <= new.began_utc or new.ended_utc <= old.began_utc)
    if apart and not floored:
        found.append("sequential")
    return found
