"""Absolute limits, such as ``p99 > 50ms``: broken, kept or undecided, with a confidence. Pure."""

from __future__ import annotations

import fnmatch
import re
import statistics
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from ipclab.compare.digest import METRICS, Metric, RowDigest
from ipclab.compare.rules import LEAST_REPEATS
from ipclab.compare.statistics import median_interval
from ipclab.errors import UsageError

Count = Literal["lost", "duplicated", "reordered", "corrupted", "unaccounted"]
COUNTS: tuple[Count, ...] = ("lost", "duplicated", "reordered", "corrupted", "unaccounted")
Direction = Literal["<", ">"]
LimitWord = Literal["broken", "kept", "undecided"]
_TIMES = {"ns": 1.0, "us": 1e3, "µs": 1e3, "μs": 1e3, "ms": 1e6, "s": 1e9}
_RATES = {"/s": 1.0, "k/s": 1e3, "M/s": 1e6, "G/s": 1e9}
_COUNTED = {"": 1.0, "k": 1e3, "M": 1e6}
_FORM = re.compile(
    r"(?:(?P<pattern>\S.*?)\s*:\s+)?(?P<what>\w+)\s*(?P<direction>[<>])\s*"
    r"(?P<number>\d+(?:\.\d+)?)\s*(?P<unit>[^\s\d]*)"
)
_ADVICE = "write METRIC > NUMBER or METRIC < NUMBER, such as 'p99 > 50ms' or 'redis-*: goodput < 1k/s'"


class Limit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A row for which ``what`` lies on this side of ``bound`` breaks the limit.

    ``bound`` is in µs of CPU time, per second, in ns or a count, by ``what``. ``pattern`` is of backends;
    empty for all. ``text`` is how it was written.
    """

    text: str
    what: Metric | Count
    direction: Direction
    bound: float
    pattern: str = ""

    def applies_to(self, backend: str) -> bool:
        """Return whether a backend, with its options or without, fits the pattern."""
        name = backend.partition(":")[0]
        return not self.pattern or any(fnmatch.fnmatchcase(b, self.pattern) for b in (name, backend))


class LimitJudgement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of a limit on one row; ``row`` is empty where no row fits it.

    ``value`` is the median of the repeats, or the count; ``low`` to ``high`` its 95 % interval, which a
    count does not have. ``repeats`` is 0 where it was not measured.
    """

    limit: str
    what: Metric | Count
    row: str
    word: LimitWord
    value: float | None = None
    low: float | None = None
    high: float | None = None
    repeats: int = 0


def parse(text: str) -> Limit:
    """Return the limit that is written as ``[BACKENDS: ]METRIC > NUMBER UNIT``. Raise UsageError."""
    match = _FORM.fullmatch(text.strip())
    if match is None:
        raise UsageError(f"{text!r} is no limit; {_ADVICE}")
    what, unit = match["what"], match["unit"]
    scales = _units(what)
    if scales is None:
        known = ", ".join((*METRICS, *COUNTS))
        raise UsageError(f"{text!r}: {what!r} cannot be limited; there are: {known}")
    if unit not in scales:
        written = ", ".join(name or "no unit" for name in scales)
        raise UsageError(f"{text!r}: {what} is given in {written}; {_ADVICE}")
    return msgspec.convert(
        {
            "text": text.strip(),
            "what": what,
            "direction": match["direction"],
            "bound": float(match["number"]) * scales[unit],
            "pattern": match["pattern"] or "",
        },
        Limit,
    )


def judge(limits: Sequence[Limit], rows: Sequence[RowDigest]) -> list[LimitJudgement]:
    """Return the judgement of each limit on each row to which it applies and that has such a figure."""
    found: list[LimitJudgement] = []
    for limit in limits:
        meant = [row for row in rows if limit.applies_to(row.key.backend)]
        judged = [one for row in meant if (one := _judge(limit, row)) is not None]
        nowhere = LimitJudgement(limit=limit.text, what=limit.what, row="", word="undecided")
        found += judged or [nowhere]
    return found


def _judge(limit: Limit, row: RowDigest) -> LimitJudgement | None:
    if limit.what in METRICS:
        values = row.values.get(limit.what)
        return _of_values(limit, row, values) if values else None
    if limit.what not in row.counts:
        return None
    count = row.counts[limit.what]
    return LimitJudgement(
        limit=limit.text,
        what=limit.what,
        row=row.key.text,
        word="broken" if _beyond(limit, count) else "kept",
        value=count,
        repeats=1,
    )


def _of_values(limit: Limit, row: RowDigest, values: Sequence[float]) -> LimitJudgement:
    ends = median_interval(values) if len(values) >= LEAST_REPEATS else None
    word: LimitWord = "undecided"
    if ends is not None and all(_beyond(limit, end) for end in ends):
        word = "broken"
    elif ends is not None and not any(_beyond(limit, end) for end in ends):
        word = "kept"
    return LimitJudgement(
        limit=limit.text,
        what=limit.what,
        row=row.key.text,
        word=word,
        value=statistics.median(values),
        low=ends[0] if ends else None,
        high=ends[1] if ends else None,
        repeats=len(values),
    )


def _beyond(limit: Limit, value: float) -> bool:
    return value > limit.bound if limit.direction == ">" else value < limit.bound


def _units(what: str) -> Mapping[str, float] | None:
    if what == "cpu":
        return {unit: factor / 1e3 for unit, factor in _TIMES.items()}
    if what == "goodput":
        return _RATES
    if what in ("p50", "p99"):
        return _TIMES
    return _COUNTED if what in COUNTS else None
