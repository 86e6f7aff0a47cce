"""What a trend says in words, for every format that shows one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ipclab.compare.trend import Point, Trend


class Change(NamedTuple):
    """A change of the conditions before a run. ``parts`` says that the runs before are not comparable."""

    parts: bool
    text: str


def changes(points: Sequence[Point]) -> Iterator[Change]:
    """Yield what changed before each run, the oldest run first."""
    for point in points:
        at = f"{point.began_utc[:10]} {point.began_utc[11:16]} UTC, {point.run}"
        for change in point.incomparable:
            yield Change(True, f"{at}: {change.text} (not comparable with the runs before)")
        for change in point.changes:
            yield Change(False, f"{at}: {change.text}")


def not_kept(trend: Trend) -> Iterator[str]:
    """Yield the runs in which a row did not keep what it declares."""
    for key, verdicts in trend.verdicts.items():
        for point, verdict in zip(trend.points, verdicts, strict=True):
            if verdict not in (None, "kept", "unsafe"):
                yield f"{point.run}: {key.text} was {verdict}"
