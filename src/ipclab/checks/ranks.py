"""Times as ranks, key after key, so that all keys are checked in one pass over whole columns.

At one time, invocations rank before ends: operations that touch in a nanosecond count as concurrent, which
never accuses wrongly. Within one process that is too lenient, because it does one operation after the other,
but no ranks can express both that and the missing order between processes: see ``touching``. Ranks are
unique. The keys lie one after the other, each with a free rank before its first event (``first``) and one
behind its last (``last``), so that nothing of one key precedes, follows or overlaps anything of another by
mistake.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ipclab.history.columns import FAIL, Bools, History, Int64s
from ipclab.history.format import CODES


@dataclass(frozen=True, slots=True)
class Ranks:
    """Ranks of the operations that carry information (``places``). All arrays are parallel to it, except the
    last two, which are by key. An operation without a known end ends behind all of its key."""

    places: Int64s
    key: Int64s
    start: Int64s
    end: Int64s
    first: Int64s
    last: Int64s


def rank(history: History, *, without_keys: Int64s | None = None) -> Ranks:
    """Return the ranks of all operations that carry information, without those of some keys."""
    may: Bools = ~nothing_happened(history)
    if without_keys is not None and len(without_keys):
        may &= ~np.isin(history.key, without_keys)
    places = np.flatnonzero(may)
    key = history.key[places].astype(np.int64)
    times = np.concatenate((history.start[places], history.last_possible[places]))
    keys = len(history.keys)
    n = len(places)
    twice = np.concatenate((key, key))
    order = np.argsort(times, kind="stable") if keys <= 1 else np.lexsort((times, twice))
    ranks = np.empty(2 * n, np.int64)
    ranks[order] = np.arange(1, 2 * n + 1)
    ranks += 2 * twice
    events = np.bincount(twice, minlength=keys)
    behind = np.cumsum(events)
    spaced = 2 * np.arange(keys)
    return Ranks(places, key, ranks[:n], ranks[n:], behind - events + spaced, behind + spaced + 1)


def nothing_happened(history: History) -> Bools:
    """Return a mask of the operations that certainly did not happen and carry no information.

    A failed compare-and-set carries information: another value was there.
    """
    nothing: Bools = (history.outcome == FAIL) & (history.f != CODES["cas"])
    return nothing


def touching(history: History) -> list[tuple[int, int, int]]:
    """Return where an operation begins in the tick in which the one before it, of the same process and
    key, ended: the indexes of the earlier and the later, and the key.
    """
    says = np.flatnonzero(~nothing_happened(history))
    start, end = history.start[says], history.end[says]
    order = np.lexsort((end, start, history.process[says], history.key[says]))
    says, start, end = says[order], start[order], end[order]
    who, key = history.process[says], history.key[says]
    touch = np.flatnonzero((end[:-1] == start[1:]) & (who[:-1] == who[1:]) & (key[:-1] == key[1:]))
    columns = (says[touch], says[touch + 1], key[touch])
    return list(zip(*(column.tolist() for column in columns), strict=True))


def dense(key: Int64s, value: Int64s, keys: int) -> Int64s:
    """Return one number for each pair of a key and a value; equal pairs have equal numbers."""
    if not len(value):
        return value
    low, high = int(value.min()), int(value.max())
    if (high - low + 1) * max(keys, 1) < 1 << 62:
        return key * (high - low + 1) + (value - low)
    different, ids = np.unique(value, return_inverse=True)
    return key * len(different) + ids
