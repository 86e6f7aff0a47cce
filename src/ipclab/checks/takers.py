"""Dequeues of unknown answer: each may have taken one value that nobody else got, from its start on.

A value that must be gone by some rank (its deadline) needs a taker that began before it, and no two values
share one. By Hall's theorem that is possible if, with deadlines and starts both sorted, each deadline lies
behind the start of the same index.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ipclab.history.columns import Bools, Int64s


class Takers:
    """The open dequeues: their keys and the ranks at which they began."""

    def __init__(self, key: Int64s, start: Int64s) -> None:
        self.keys: Int64s = np.unique(key)
        self._starts = {int(k): np.sort(start[key == k]) for k in self.keys}

    def count(self, key: int) -> int:
        """Return the number of open dequeues of a key."""
        return len(self._starts.get(key, ()))

    def unserved(self, key: Int64s, deadline: Int64s, due: Bools) -> Int64s:
        """Return which of the ``due`` values cannot have been taken in time; all arrays are parallel."""
        bad = [np.flatnonzero(due & ~np.isin(key, self.keys))]
        for k, starts in self._starts.items():
            mine = np.flatnonzero(due & (key == k))
            mine = mine[np.argsort(deadline[mine], kind="stable")]
            late = np.ones(len(mine), np.bool_)
            served = min(len(mine), len(starts))
            late[:served] = starts[:served] > deadline[mine[:served]]
            if late.any():
                bad.append(mine[np.flatnonzero(late)])
        return np.concatenate(bad)

    def too_full(
        self, key: Int64s, in_end: Int64s, deadline: Int64s, last: Int64s
    ) -> Iterator[tuple[int, int]]:
        """Yield intervals of ranks in which a key with takers cannot be empty, whoever took what.

        The arrays are those of the values that nobody is known to have got. The queue can be empty at a rank
        if all values that are in by then can have been taken by then, and each other value by its own
        deadline.
        """
        for k, starts in self._starts.items():
            mine = np.flatnonzero(key == k)
            ends, own = in_end[mine], deadline[mine]
            order = np.argsort(ends, kind="stable")
            ends, own = ends[order], own[order]
            final = int(last[k])
            if len(ends) > len(starts):
                full = int(ends[len(starts)])
                yield full, final
                final = full
            edges = np.unique(np.concatenate((ends, starts, own)))
            edges = edges[edges < final]
            for low, high in zip(edges, [*edges[1:], final], strict=True):
                by_now = np.where(ends <= low, np.minimum(own, low), own)
                needed = np.sort(by_now[by_now < last[k]])
                if len(needed) > len(starts) or (starts[: len(needed)] > needed).any():
                    yield int(low), int(high)
