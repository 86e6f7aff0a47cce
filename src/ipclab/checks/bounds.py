"""Checks a counter's reads against their bounds, in O(n log n).

A read lies at or above the sum of all that was certainly added before it began, and at or below that plus all
that may have been added by its end. Negative amounts count the other way. Of two reads, one after the other,
the later is no smaller where nothing negative is added. An add without a known end may happen at any time
after its start, or never.

These bounds are necessary, not sufficient: reads may lie within them and still fit no common order.
"""

from __future__ import annotations

import numpy as np

from ipclab.checks.ranks import Ranks, rank
from ipclab.checks.verdict import Findings
from ipclab.history.columns import FAIL, OK, History, Int64s
from ipclab.history.format import CODES
from ipclab.history.values import NULL

_MOST = 2.0**62
ADD, READ = CODES["add"], CODES["read"]


def check_counter(history: History) -> Findings:
    """Judge every read; the counter begins at 0."""
    found = Findings(history)
    ranks = rank(history)
    f, ok = history.f[ranks.places], history.outcome[ranks.places] == OK
    adds, reads = np.flatnonzero(f == ADD), np.flatnonzero((f == READ) & ok)
    seen = history.value[ranks.places[reads]]
    if (seen == NULL).any():
        found.undecided = "a read of the counter has no value"
        return found
    amount = history.value[ranks.places[adds]]
    if np.abs(amount).sum(dtype=np.float64) >= _MOST:
        found.undecided = "the amounts add up to more than 2**62"
        return found
    up, down = np.maximum(amount, 0), np.minimum(amount, 0)
    sure = ok[adds]
    since = ranks.first[ranks.key[reads]]
    at_start, at_end = ranks.start[reads], ranks.end[reads]
    ended, started = ranks.end[adds], ranks.start[adds]
    low = _sum(ended[sure], up[sure], since, at_start) + _sum(started, down, since, at_end)
    high = _sum(started, up, since, at_end) + _sum(ended[sure], down[sure], since, at_start)
    _check_bounds(found, ranks, reads, seen, low, high, adds)
    _check_order(found, ranks, reads[(seen >= low) & (seen <= high)], adds[amount < 0])
    return found


def _sum(when: Int64s, amount: Int64s, since: Int64s, until: Int64s) -> Int64s:
    """Return, for each pair of ranks, the sum of the amounts between them."""
    order = np.argsort(when, kind="stable")
    total = np.concatenate(([0], np.cumsum(amount[order])))
    when = when[order]
    found: Int64s = total[np.searchsorted(when, until)] - total[np.searchsorted(when, since)]
    return found


def _check_bounds(
    found: Findings, ranks: Ranks, reads: Int64s, seen: Int64s, low: Int64s, high: Int64s, adds: Int64s
) -> None:
    under, over = np.flatnonzero(seen < low), np.flatnonzero(seen > high)
    if len(under):
        i = under[0]
        read = reads[i]
        before = adds[(ranks.key[adds] == ranks.key[read]) & (ranks.end[adds] < ranks.start[read])]
        latest = before[np.argsort(ranks.end[before])][-3:]
        places = ranks.places[np.append(latest, read)]
        text = (
            f"{found.say(ranks.places[read])}, but at least {low[i]} had been added before it began"
            f"{'' if len(before) <= 3 else f' (by {len(before)} operations; the last 3 are shown)'}"
        )
        found.clash("lost-update", len(under), places, text)
    if len(over):
        i = over[0]
        place = ranks.places[reads[i]]
        text = f"{found.say(place)}, but at most {high[i]} can have been added by its end"
        found.clash("phantom", len(over), (place,), text)


def _check_order(found: Findings, ranks: Ranks, reads: Int64s, negative: Int64s) -> None:
    history = found.history
    reads = reads[~np.isin(ranks.key[reads], ranks.key[negative])]
    if not len(reads):
        return
    value = history.value[ranks.places[reads]]
    _, place = np.unique(value, return_inverse=True)
    level = place + ranks.key[reads] * len(reads)
    order = np.argsort(ranks.end[reads], kind="stable")
    highest = np.maximum.accumulate(level[order])
    before = np.searchsorted(ranks.end[reads][order], ranks.start[reads]) - 1
    back = np.flatnonzero((before >= 0) & (highest[np.maximum(before, 0)] > level))
    if len(back):
        i = back[0]
        j = order[np.flatnonzero(level[order] == highest[before[i]])[0]]
        a, b = ranks.places[reads[j]], ranks.places[reads[i]]
        text = f"{found.say(b)} began after {found.say(a)} had ended, and nothing was taken away"
        found.clash("went-back", len(back), (a, b), text)


def losses(history: History) -> dict[str, int]:
    """Return the sum of what was certainly added, and of what was added at most."""
    add = (history.f == ADD) & (history.outcome != FAIL)
    sure = add & (history.outcome == OK)
    return {"added": sum(history.value[sure].tolist()), "attempted": sum(history.value[add].tolist())}
