"""Guarantees gate without statistics: one broken guarantee is enough. Pure."""

from __future__ import annotations

from typing import assert_never

import msgspec

from ipclab.compare.digest import CellDigest, RowDigest
from ipclab.compare.rules import Word
from ipclab.results.safety.cells import CellVerdict
from ipclab.results.verdict import Word as Verdict

_ENOUGH = 3
"""Trials of a cell, all of which were kept before and none now, that show more than luck."""


class GuaranteeChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a row or a cell kept its guarantees. ``old`` is None where it was not measured before."""

    word: Word
    old: str | None
    new: str
    detail: str = ""


def of_row(old: RowDigest | None, new: RowDigest) -> GuaranteeChange:
    """Return the change of a row's verdict. A row without an old one is judged by its declaration."""
    return GuaranteeChange(
        word=_row_word(old.verdict, new) if old else _new_row_word(new.verdict),
        old=old.verdict if old else None,
        new=new.verdict,
        detail="; ".join(new.reasons),
    )


def of_cell(old: CellDigest | None, new: CellDigest) -> GuaranteeChange:
    """Return the change of a cell of the safety tables."""
    return GuaranteeChange(
        word=_cell_word(old, new),
        old=old.verdict if old else None,
        new=new.verdict,
        detail=new.finding,
    )


def _new_row_word(new: Verdict) -> Word:
    if new == "broken":
        return "worse"
    return "undecided" if _row_rank(new) >= _row_rank("unknown") else "same"


def _row_word(old: Verdict, new: RowDigest) -> Word:
    if new.verdict == old:
        return "undecided" if old == "unknown" else "same"
    if old == "kept" and new.verdict == "unsafe":
        # A declaration that was withdrawn is worse where it cost something.
        return "worse" if new.counts.get("lost", 0) else "undecided"
    before, after = _row_rank(old), _row_rank(new.verdict)
    if "unknown" in (old, new.verdict) and max(before, after) <= _row_rank("unknown"):
        return "undecided" if new.verdict == "unknown" else "same"
    return "worse" if after > before else "better"


def _row_rank(verdict: Verdict) -> int:
    match verdict:
        case "kept":
            return 0
        case "unsafe":
            return 1
        case "unknown":
            return 2
        case "failed" | "unavailable":
            return 3
        case "hung":
            return 4
        case "broken":
            return 5
        case _:
            assert_never(verdict)


def _cell_word(old: CellDigest | None, new: CellDigest) -> Word:
    if old is None:
        return "worse" if new.verdict == "broken" else "same"
    if new.verdict == old.verdict:
        return "undecided" if new.verdict == "unknown" else "same"
    if "refused" in (old.verdict, new.verdict) or new.verdict == "unknown":
        return "undecided"
    if old.verdict == "unknown":
        return "worse" if _cell_rank(new.verdict) > _cell_rank("unknown") else "same"
    if old.verdict == "kept" and new.verdict == "declared":
        # Whether a fault hits a message is chance; that it hits none, and then all, is not.
        flipped = old.kept == old.trials >= _ENOUGH and new.kept == 0 and new.trials >= _ENOUGH
        return "worse" if flipped else "undecided"
    return "worse" if _cell_rank(new.verdict) > _cell_rank(old.verdict) else "better"


def _cell_rank(verdict: CellVerdict) -> int:
    match verdict:
        case "refused" | "kept":
            return 0
        case "declared":
            return 1
        case "unknown":
            return 2
        case "stopped":
            return 3
        case "failed":
            return 4
        case "hung":
            return 5
        case "broken":
            return 6
        case _:
            assert_never(verdict)
