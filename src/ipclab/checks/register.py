"""Checks whether a register's history with distinct writes is linearizable, by zones, in O(n log n).

Gibbons and Korach: the operations on one value, its write and the reads of it, form a cluster. Where one of
them ended before another began, the register certainly held the value in between: a forward zone. Otherwise
there was a moment common to all, somewhere in the backward zone from the last start to the first end. The
history is linearizable if no two forward zones overlap and no backward zone lies inside a forward one. The
initial null was written before everything.

A key with cas operations needs a search, unless two of them found the same value, which was there only once.
A failed one shows that another value was there.

Operations without a known end: a write that nobody read from never happened; one that was read from did, and
its end is then that of the reads. A read without an answer carries no information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ipclab.checks.fifo import CORRUPTED, is_corrupted
from ipclab.checks.ranks import Ranks, dense, rank
from ipclab.checks.verdict import Findings, shown
from ipclab.history.columns import FAIL, OK, History, Int64s
from ipclab.history.format import CODES
from ipclab.history.values import NULL

READ, WRITE, CAS = CODES["read"], CODES["write"], CODES["cas"]


@dataclass(slots=True)
class Clusters:
    """By value: the write (an index in the history, -1 for the initial null) and the zone. ``end`` is the
    first end and ``start`` the last start of all operations on it, as ranks."""

    write: Int64s
    end: Int64s
    start: Int64s
    cluster_of_op: Int64s
    """By index in the ranks, -1 where the operation carries no information."""


def check_register(history: History) -> Findings:
    """Judge every key that has distinct writes and no cas; the others are named in ``unfit``."""
    found = Findings(history)
    everything = rank(history)
    _find_unfit(found, everything)
    unfit = np.array(list(found.unfit), np.int64)
    _lost_updates(found, everything)
    ranks = rank(history, without_keys=unfit) if len(unfit) else everything
    clusters = _clusters(found, ranks)
    _zones(found, ranks, clusters)
    return found


def _find_unfit(found: Findings, ranks: Ranks) -> None:
    history = found.history
    f, value = history.f[ranks.places], history.value[ranks.places]
    ok = history.outcome[ranks.places] == OK
    writes, reads = np.flatnonzero(f == WRITE), np.flatnonzero((f == READ) & ok)
    both = np.concatenate((writes, reads))
    ids = dense(ranks.key[both], value[both], len(history.keys))
    written = np.sort(ids[: len(writes)])
    again = np.unique(written[1:][written[1:] == written[:-1]])
    read_ids = ids[len(writes) :]
    for key in np.unique(ranks.key[reads[np.isin(read_ids, again)]]):
        found.unfit[int(key)] = "a value was written more than once, and read"
    for key in np.unique(ranks.key[writes[value[writes] == NULL]]):
        found.unfit[int(key)] = "null was written, which is also the initial value"
    for key in np.unique(ranks.key[f == CAS]):
        found.unfit[int(key)] = "it has cas operations"


def _lost_updates(found: Findings, ranks: Ranks) -> None:
    """Enter lost updates: if no value is written twice, only one cas can have replaced the same old value.

    A replaced value does not return, so this needs no search."""
    history, value = found.history, found.history.values.value
    f = history.f[ranks.places]
    for key in np.unique(ranks.key[f == CAS]):
        places = ranks.places[ranks.key == key]
        written = [value(int(v)) for v in history.value[places[history.f[places] == WRITE]]]
        by_old: dict[int, list[int]] = {}
        for place in places[history.f[places] == CAS].tolist():
            if history.outcome[place] == FAIL:
                continue
            old, new = value(int(history.value[place]))
            written.append(new)
            if history.outcome[place] == OK:
                by_old.setdefault(history.values.code(old), []).append(place)
        codes = {history.values.code(new) for new in written}
        clashing = [found_it for found_it in by_old.values() if len(found_it) > 1]
        if clashing and len(codes) == len(written) and NULL not in codes:
            old, _ = value(int(history.value[clashing[0][0]]))
            text = f"more than one cas found {shown(old)} there, and it was put there once"
            found.clash("lost-update", sum(len(c) - 1 for c in clashing), clashing[0][:2], text)


def _clusters(found: Findings, ranks: Ranks) -> Clusters:
    history, places = found.history, ranks.places
    f, value, ok = history.f[places], history.value[places], history.outcome[places] == OK
    writes, reads = np.flatnonzero(f == WRITE), np.flatnonzero((f == READ) & ok)
    both = np.concatenate((writes, reads))
    ids = dense(ranks.key[both], value[both], len(history.keys))
    order = np.argsort(ids[: len(writes)], kind="stable")
    write_ids, writes, read_ids = ids[: len(writes)][order], writes[order], ids[len(writes) :]
    initial = value[reads] == NULL
    spot = np.searchsorted(write_ids, read_ids)
    known = ~initial & (spot < len(writes))
    known[known] = write_ids[spot[known]] == read_ids[known]
    _unwritten(found, places[reads[~known & ~initial]])
    early = known.copy()
    early[known] = ranks.end[reads[known]] < ranks.start[writes[spot[known]]]
    if early.any():
        i = np.flatnonzero(early)[0]
        a, b = places[writes[spot[i]]], places[reads[i]]
        text = f"{found.say(b)} had ended before {found.say(a)} began"
        found.clash("read-before-written", int(early.sum()), (a, b), text)
    known &= ~early
    cluster_of_op = np.full(len(places), -1, np.int64)
    cluster_of_op[writes] = np.arange(len(writes))
    cluster_of_op[reads[known]] = spot[known]
    cluster_of_op[reads[initial]] = len(writes) + ranks.key[reads[initial]]
    end = np.concatenate((ranks.end[writes], ranks.first))
    start = np.concatenate((ranks.start[writes], ranks.first))
    reads = reads[known | initial]
    np.minimum.at(end, cluster_of_op[reads], ranks.end[reads])
    np.maximum.at(start, cluster_of_op[reads], ranks.start[reads])
    write = np.concatenate((places[writes], np.full(len(history.keys), -1)))
    silent = np.zeros(len(write), np.bool_)
    silent[: len(writes)] = ~ok[writes]
    silent[cluster_of_op[reads]] = False
    end[silent] = start[silent] = -1
    return Clusters(write, end, start, cluster_of_op)


def _unwritten(found: Findings, places: Int64s) -> None:
    damaged = np.array([is_corrupted(found.history.operation(i).value) for i in places], np.bool_)
    for anomaly, those in ((CORRUPTED, places[damaged]), ("phantom", places[~damaged])):
        if len(those):
            text = f"{found.say(those[0])}: nobody wrote it"
            found.clash(anomaly, len(those), those[:1], text)


def _zones(found: Findings, ranks: Ranks, clusters: Clusters) -> None:
    forward = np.flatnonzero(clusters.end < clusters.start)
    forward = forward[np.argsort(clusters.end[forward], kind="stable")]
    reach = np.maximum.accumulate(clusters.start[forward])
    overlap = np.flatnonzero(clusters.end[forward][1:] < reach[:-1]) + 1
    for i in overlap[:3]:
        b = int(forward[i])
        a = int(forward[np.flatnonzero(clusters.start[forward[:i]] == reach[i - 1])[0]])
        _stale(found, ranks, clusters, a, b, len(overlap) if i == overlap[0] else 0)
    backward = np.flatnonzero(clusters.end >= clusters.start)
    backward = backward[clusters.end[backward] >= 0]
    at = np.searchsorted(clusters.end[forward], clusters.start[backward]) - 1
    inside = at >= 0
    inside[inside] = clusters.end[backward[inside]] < reach[at[inside]]
    if inside.any():
        i = np.flatnonzero(inside)[0]
        b = int(backward[i])
        reaching = np.flatnonzero(clusters.start[forward[: at[i] + 1]] == reach[at[i]])[0]
        _stale(found, ranks, clusters, int(forward[reaching]), b, int(inside.sum()))


def _stale(found: Findings, ranks: Ranks, clusters: Clusters, a: int, b: int, count: int) -> None:
    """Enter two values that exclude each other: the register held ``a`` before and after it held ``b``."""
    chosen = []
    for cluster in (a, b):
        members = np.flatnonzero(clusters.cluster_of_op == cluster)
        first = members[np.argmin(ranks.end[members])]
        last = members[np.argmax(ranks.start[members])]
        chosen += [] if clusters.write[cluster] < 0 else [int(ranks.places[first])]
        chosen.append(int(ranks.places[last]))
    history = found.history
    one, other = (_value(found, clusters, c) for c in (a, b))
    stale = history.operation(chosen[0] if clusters.write[a] < 0 else chosen[1])
    text = (
        f"the register held {one} before and after a moment at which it held {other}: "
        f"{stale.f} of {one} by {history.name(stale.process)} came too late"
    )
    found.clash("stale-read", max(count, 1) if count else 0, chosen, text)


def _value(found: Findings, clusters: Clusters, cluster: int) -> str:
    write = clusters.write[cluster]
    return "its initial null" if write < 0 else shown(found.history.operation(int(write)).value)
