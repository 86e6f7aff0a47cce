"""Is a FIFO queue's history linearizable? Decided by rules, in O(n log n), where its values are distinct.

The rules (Lee and Mathur, arXiv 2410.04581; Henzinger, Sezgin and Vafeiadis): no value comes out twice; none
comes out that was not put in, or before it was put in; no two values that were put in one after the other
come out in the opposite order; and no "empty" while some value is certainly in. The last rule holds for an
"empty" if some moment of its interval lies outside of all the intervals from the end of an enqueue to the
start of its dequeue.

Operations without a known end: an enqueue whose value never came out never happened; one whose value came out
did. A dequeue of unknown answer may have taken any value that nobody else got, so a missing value counts
against the queue only when no such dequeue is left that began early enough (``takers.py``).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ipclab.checks.ranks import Ranks, dense, rank
from ipclab.checks.takers import Takers
from ipclab.checks.verdict import Findings, shown
from ipclab.history.columns import OK, Bools, History, Int64s
from ipclab.history.format import CODES
from ipclab.history.values import NULL

PUTS = (CODES["enqueue"], CODES["send"])
TAKES = (CODES["dequeue"], CODES["receive"])
CORRUPTED = "corrupted"


@dataclass(slots=True)
class Passed:
    """Values that were put in, each with the ranks of its enqueue and its dequeue. The arrays are parallel.

    ``put`` and ``take`` are indexes in the history, ``take`` -1 where nobody is known to have got the value;
    ``out_start`` and ``out_end`` are then behind everything of the key.
    """

    key: Int64s
    put: Int64s
    take: Int64s
    in_start: Int64s
    in_end: Int64s
    out_start: Int64s
    out_end: Int64s


def check_queue(history: History) -> Findings:
    """Judge every key whose values are distinct; the others are named in ``unfit``."""
    found = Findings(history)
    everything = rank(history)
    repeated = _repeated_keys(history, everything)
    for key in repeated:
        found.unfit[int(key)] = "a value was enqueued more than once"
    ranks = rank(history, without_keys=repeated) if len(repeated) else everything
    f, ok = history.f[ranks.places], history.outcome[ranks.places] == OK
    value = history.value[ranks.places]
    takes = np.isin(f, TAKES)
    puts = np.flatnonzero(np.isin(f, PUTS))
    got = np.flatnonzero(takes & ok & (value != NULL))
    empty = np.flatnonzero(takes & ok & (value == NULL))
    takers = np.flatnonzero(takes & ~ok)
    passed = _match(found, ranks, puts, got)
    lost = passed.take < 0
    _order(found, passed, lost)
    pending = Takers(ranks.key[takers], ranks.start[takers])
    gone = _missing(found, passed, lost, pending)
    _false_empty(found, ranks, passed, lost, pending, gone, empty)
    return found


def _repeated_keys(history: History, ranks: Ranks) -> Int64s:
    puts = np.isin(history.f[ranks.places], PUTS)
    key = ranks.key[puts]
    ids = dense(key, history.value[ranks.places][puts], len(history.keys))
    order = np.argsort(ids, kind="stable")
    again = np.flatnonzero(ids[order][1:] == ids[order][:-1])
    return np.unique(key[order][again])


def _match(found: Findings, ranks: Ranks, puts: Int64s, got: Int64s) -> Passed:
    """Match what came out with what was put in; enter what cannot be matched as an anomaly."""
    history, places = found.history, ranks.places
    both = np.concatenate((puts, got))
    ids = dense(ranks.key[both], history.value[places[both]], len(history.keys))
    put_ids, got_ids = ids[: len(puts)], ids[len(puts) :]
    order = np.argsort(put_ids, kind="stable")
    put_ids, puts = put_ids[order], puts[order]
    spot = np.searchsorted(put_ids, got_ids)
    known = spot < len(puts)
    known[known] = put_ids[spot[known]] == got_ids[known]
    _unknown_values(found, places[got[~known]])
    got, spot = got[known], spot[known]
    early = ranks.end[got] < ranks.start[puts[spot]]
    if early.any():
        i = np.flatnonzero(early)[0]
        a, b = places[puts[spot[i]]], places[got[i]]
        text = f"{found.say(b)} had ended before {found.say(a)} began"
        found.clash("received-before-sent", int(early.sum()), (a, b), text)
    got, spot = got[~early], spot[~early]
    by_value = np.lexsort((ranks.start[got], spot))
    got, spot = got[by_value], spot[by_value]
    again = np.flatnonzero(spot[1:] == spot[:-1]) + 1
    if len(again):
        i = again[0]
        a, b, c = places[puts[spot[i]]], places[got[i - 1]], places[got[i]]
        text = f"{shown(history.operation(a).value)} was put in once and came out again: {found.say(c)}"
        found.clash("duplicated", len(again), (a, b, c), text)
    first = np.ones(len(spot), np.bool_)
    first[again] = False
    got, spot = got[first], spot[first]
    taken = np.full(len(puts), -1, np.int64)
    taken[spot] = got
    stays = (taken >= 0) | (history.outcome[places[puts]] == OK)
    puts, taken = puts[stays], taken[stays]
    key = ranks.key[puts]
    out = taken >= 0
    return Passed(
        key=key,
        put=places[puts],
        take=np.where(out, places[taken] if len(places) else -1, -1),
        in_start=ranks.start[puts],
        in_end=ranks.end[puts],
        out_start=np.where(out, ranks.start[taken] if len(places) else 0, ranks.last[key]),
        out_end=np.where(out, ranks.end[taken] if len(places) else 0, ranks.last[key]),
    )


def _unknown_values(found: Findings, places: Int64s) -> None:
    """Enter values that came out and were never put in; ``{"corrupted": …}`` stands for damaged bytes."""
    if not len(places):
        return
    damaged = np.array([is_corrupted(found.history.operation(i).value) for i in places], np.bool_)
    for anomaly, those in ((CORRUPTED, places[damaged]), ("phantom", places[~damaged])):
        if len(those):
            why = "what came out is not what was put in" if anomaly == CORRUPTED else "nobody put it in"
            found.clash(anomaly, len(those), those[:1], f"{found.say(those[0])}: {why}")


def is_corrupted(value: object) -> bool:
    """Return whether a received value says that the bytes were damaged."""
    return isinstance(value, dict) and list(value) == [CORRUPTED]


def _order(found: Findings, passed: Passed, lost: Bools) -> None:
    """Check that no two values that were put in one after the other come out in the opposite order.

    What is counted are the overtaken values, as in the ledger: those that came out after a later one.
    """
    out = np.flatnonzero(~lost)
    if not len(out):
        return
    ended = out[np.argsort(passed.in_end[out], kind="stable")]
    latest = np.maximum.accumulate(passed.out_start[ended])
    is_latest = np.where(passed.out_start[ended] == latest, np.arange(len(ended)), 0)
    whose = np.maximum.accumulate(is_latest)
    before = np.searchsorted(passed.in_end[ended], passed.in_start[out]) - 1
    wrong = (before >= 0) & (latest[np.maximum(before, 0)] > passed.out_end[out])
    if wrong.any():
        i = np.flatnonzero(wrong)[0]
        a, b = int(ended[whose[before[i]]]), int(out[i])
        places = (passed.put[a], passed.put[b], passed.take[b], passed.take[a])
        first, second = (shown(found.history.operation(p).value) for p in (passed.put[a], passed.put[b]))
        text = (
            f"{first} was put in before {second}, yet {second} was out before anybody began to take {first}"
        )
        found.clash("reordered", _many_overtaken(passed, out), places, text)


def _many_overtaken(passed: Passed, out: Int64s) -> int:
    """Return how many of these values came out after one that was put in when theirs had been put in."""
    later = out[np.argsort(passed.in_start[out], kind="stable")]
    soonest = np.minimum.accumulate(passed.out_end[later][::-1])[::-1]
    at = np.searchsorted(passed.in_start[later], passed.in_end[out])
    inside = at < len(later)
    return int((soonest[at[inside]] < passed.out_start[out[inside]]).sum())


def _missing(found: Findings, passed: Passed, lost: Bools, pending: Takers) -> Int64s:
    """Enter values that nobody got although a later one came out, and no open dequeue can have taken them.

    Return the deadline of each missing value, the rank by which somebody must have taken it: behind its key
    where there is none, and where it was found to be lost.
    """
    gone = np.flatnonzero(lost)
    out = np.flatnonzero(~lost)
    deadline = passed.out_end[gone].copy()
    if not len(gone) or not len(out):
        return deadline
    later = out[np.argsort(passed.in_start[out], kind="stable")]
    soonest = np.minimum.accumulate(passed.out_end[later][::-1])[::-1]
    at = np.searchsorted(passed.in_start[later], passed.in_end[gone])
    inside = at < len(later)
    deadline[inside] = np.minimum(deadline[inside], soonest[at[inside]])
    due = deadline < passed.out_end[gone]
    bad = pending.unserved(passed.key[gone], deadline, due)
    if len(bad):
        i = int(bad[np.argmin(deadline[bad])])
        a = int(gone[i])
        b = int(out[np.flatnonzero(passed.out_end[out] == deadline[i])[0]])
        first, second = (shown(found.history.operation(p).value) for p in (passed.put[a], passed.put[b]))
        text = f"{first} was put in before {second}; {second} came out and {first} never did"
        if pending.count(int(passed.key[a])):
            text += ", nor are there open dequeues enough to have taken it in time"
        found.clash("lost", len(bad), (passed.put[a], passed.put[b], passed.take[b]), text)
        deadline[bad] = passed.out_end[gone][bad]
    return deadline


def _false_empty(
    found: Findings,
    ranks: Ranks,
    passed: Passed,
    lost: Bools,
    pending: Takers,
    deadline: Int64s,
    empty: Int64s,
) -> None:
    """Check that no "empty" came while a value was certainly in; such values cover the gaps of the ranks."""
    if not len(empty):
        return
    excusable = lost & np.isin(passed.key, pending.keys)
    sure = np.flatnonzero((passed.in_end < passed.out_start) & ~excusable)
    change = np.zeros(int(ranks.last[-1]) + 2, np.int32)
    np.add.at(change, passed.in_end[sure], 1)
    np.add.at(change, passed.out_start[sure], -1)
    for low, high in pending.too_full(passed.key[lost], passed.in_end[lost], deadline, ranks.last):
        change[low] += 1
        change[high] -= 1
    free = np.concatenate(([0], np.cumsum(np.cumsum(change) == 0)))
    wrong = free[ranks.end[empty]] == free[ranks.start[empty]]
    if not wrong.any():
        return
    e = int(empty[np.flatnonzero(wrong)[0]])
    chain = _chain(passed, sure, int(ranks.start[e]), int(ranks.end[e]))
    places = [ranks.places[e], *passed.put[chain], *(t for t in passed.take[chain] if t >= 0)]
    held = [shown(found.history.operation(p).value) for p in passed.put[chain]]
    if held:
        text = f"{found.say(ranks.places[e])}, while {' or '.join(held)} was certainly in the queue"
    else:
        text = f"{found.say(ranks.places[e])}, while more was in than open dequeues can have taken"
    found.clash("false-empty", int(wrong.sum()), places, text)


def _chain(passed: Passed, sure: Int64s, start: int, end: int) -> list[int]:
    """Return the fewest values whose intervals together cover this one; empty where they do not."""
    chain: list[int] = []
    reached = start
    while reached < end:
        inside = sure[passed.in_end[sure] <= reached]
        if not len(inside):
            return []
        best = int(inside[np.argmax(passed.out_start[inside])])
        if passed.out_start[best] <= reached:
            return []
        chain.append(best)
        reached = int(passed.out_start[best])
    return chain
