"""A comparison as CSV: a line for each row and metric, in full precision."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator

from ipclab.compare.comparison import Comparison
from ipclab.compare.guarantees import GuaranteeChange
from ipclab.compare.rules import Judgement
from ipclab.report.look import Look

_FIRST = ("row", "metric", "word", "gated", "old", "new")
COLUMNS = (*_FIRST, *(name for name in Judgement.__struct_fields__ if name not in _FIRST))


def render(comparison: Comparison, _look: Look | None = None) -> str:
    """Return a line for the verdict and each metric of every row, cell, limit and missing row."""
    out = io.StringIO()
    writer = csv.DictWriter(out, fieldnames=COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(_lines(comparison))
    return out.getvalue()


def _lines(comparison: Comparison) -> Iterator[dict[str, object]]:
    for row in comparison.rows:
        yield _guarantee(row.row, row.guarantee)
        for one in row.metrics:
            yield {"row": row.row, **{name: getattr(one, name) for name in Judgement.__struct_fields__}}
    for row in comparison.added_rows:
        yield _guarantee(row.row, row.guarantee)
    for cell in (*comparison.cells, *comparison.added_cells):
        yield _guarantee(cell.cell, cell.guarantee)
    for gone in comparison.missing:
        yield {"row": gone.row, "metric": "row", "word": "undecided", "gated": True, "why": gone.reason}
    for limit in comparison.limits:
        yield {
            "row": limit.row,
            "metric": f"limit {limit.limit}",
            "word": limit.word,
            "gated": True,
            "new": limit.value,
            "new_repeats": limit.repeats,
        }


def _guarantee(row: str, change: GuaranteeChange) -> dict[str, object]:
    return {
        "row": row,
        "metric": "verdict",
        "word": change.word,
        "gated": True,
        "old": change.old,
        "new": change.new,
        "why": change.detail,
    }
