"""Checks that the holds of a lock exclude each other and that its fencing tokens rise, in O(n log n).

A process certainly holds the lock from the end of its acquire to the moment at which it asks for the release:
from then on it does not rely on the lock, whatever happens to the request. A process that is killed or told
to end (a fault ``kill`` or ``terminate`` that names it) holds until then, or until its last operation ended
where that was later. Where the clock is too coarse to separate the two moments, it still held, at a moment
that only a search can place. An acquire without a known end counts as no hold, unless a release of the same
process shows that it had happened: then there was a moment within that release at which nobody else held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ipclab.checks.ranks import Ranks, rank, touching
from ipclab.checks.verdict import Findings
from ipclab.history.columns import CODE_OF, FOREVER, INFO, OK, History
from ipclab.history.format import CODES, ENDINGS
from ipclab.history.values import NULL

_CHUNK = 50_000
ACQUIRE, RELEASE = CODES["acquire"], CODES["release"]


@dataclass(slots=True)
class Hold:
    """The lock was certainly held from rank ``start`` to rank ``end``."""

    acquire: int
    start: int
    end: int
    token: int | None
    release: int = -1
    released: bool = False
    """Whether the release certainly happened."""
    depth: int = 1
    """How often its process has acquired the lock and not released it."""


@dataclass(slots=True)
class _Process:
    hold: Hold | None = None
    maybe: int = 0
    """Acquires of unknown outcome that no release has confirmed."""
    loose: int = 0
    """Releases of unknown outcome that ended no hold, and so may still end a later one."""


@dataclass(slots=True)
class _Key:
    processes: dict[int, _Process] = field(default_factory=lambda: defaultdict(_Process))
    holds: list[Hold] = field(default_factory=list)
    moments: list[tuple[int, int, int]] = field(default_factory=list)
    """Releases that confirm an acquire of unknown outcome: start, end, index."""


def with_kills(history: History, *, reentrant: bool = False) -> History:
    """Return the history with a release of unknown outcome wherever a process was ended, and with that
    outcome for failed releases: nobody relies on such a hold any longer, so the lock need not be held.
    """
    outcome = history.outcome.copy()
    outcome[(history.f == RELEASE) & (outcome != OK)] = INFO
    named = {name: i for i, p in enumerate(history.processes) for name in (str(p), history.name(p))}
    extra: list[tuple[int, int, int]] = []
    ended_ns: dict[int, int] = {}
    for fault in history.faults:
        who = named.get(str(fault.value))
        if fault.f in ENDINGS and who is not None:
            ended_ns[who] = min(fault.start_ns, ended_ns.get(who, fault.start_ns))
    for who, fault_ns in ended_ns.items():
        own = history.process == who
        # A fault is logged before its signal is sent, and SIGTERM is handled while the process still works.
        last_ns = max(history.end[own & (history.end < FOREVER)].tolist(), default=-1) + 1
        for key in np.unique(history.key[own]):
            depth = _deepest(history, who, int(key)) if reentrant else 1
            extra.extend([(who, int(key), max(fault_ns, last_ns))] * depth)
    n = len(extra)
    killed, keys, when = np.array(extra, np.int64).reshape(n, 3).T
    return History(
        header=history.header,
        processes=history.processes,
        keys=history.keys,
        values=history.values,
        faults=history.faults,
        process=np.append(history.process, killed.astype(np.int32)),
        key=np.append(history.key, keys.astype(np.int32)),
        f=np.append(history.f, np.full(n, RELEASE, np.int8)),
        outcome=np.append(outcome, np.full(n, CODE_OF["info"], np.int8)),
        value=np.append(history.value, np.full(n, NULL)),
        start=np.append(history.start, when),
        end=np.append(history.end, np.full(n, FOREVER)),
    )


def _deepest(history: History, who: int, key: int) -> int:
    """Return how often this process can have acquired the lock without a release, at least 1."""
    own = (history.process == who) & (history.key == key)
    acquired = int(np.sum(own & (history.f == ACQUIRE) & (history.outcome != CODE_OF["fail"])))
    released = int(np.sum(own & (history.f == RELEASE) & (history.outcome == OK)))
    return max(acquired - released, 1)


def check_lock(history: History) -> Findings:
    """Judge every key; ``unfit`` names those for which it is unknown which release ended what.

    Where the header does not say whether the lock is re-entrant and a holder acquires again, the history is
    judged as that of a re-entrant lock. An anomaly found then is one for either kind; else it is undecided.
    """
    told = history.header.reentrant
    found, nested = _check(history, reentrant=told is True)
    if told is not None or not nested:
        return found
    found, _ = _check(history, reentrant=True)
    if not found.anomalies:
        found.undecided = (
            f"{found.say(nested[0])} while its process held the lock: say in the header whether the lock is "
            f're-entrant, by "reentrant": true or false'
        )
    return found


def _check(history: History, *, reentrant: bool) -> tuple[Findings, list[int]]:
    """Return the findings, and the indexes of acquires by a process that certainly held the lock."""
    logged = len(history)
    found = Findings(with_kills(history, reentrant=reentrant))
    ranks = rank(found.history)
    nested: list[int] = []
    keys = _holds(found, ranks, nested, reentrant=reentrant)
    for key, state in keys.items():
        if key not in found.unfit:
            _judge(found, state, logged)
    return found, nested


def _holds(found: Findings, ranks: Ranks, nested: list[int], *, reentrant: bool) -> dict[int, _Key]:
    history = found.history
    keys: dict[int, _Key] = defaultdict(_Key)
    # Where the clock cannot separate operations of one process, their order is not known.
    coarse = {key for _, _, key in touching(history)}
    if reentrant:
        for key in coarse:
            found.unfit[key] = "the clock does not tell operations of one process apart"
    for place, key, who, f, outcome, value, start, end, last in _rows(history, ranks):
        if reentrant and key in found.unfit:
            continue
        state = keys[key]
        process = state.processes[who]
        if f == ACQUIRE:
            if outcome != OK:
                process.maybe += 1
                continue
            if (hold := process.hold) is not None and not hold.released:
                if hold.release < 0 and not process.maybe and key not in coarse:
                    nested.append(place)
                if reentrant and (hold.release >= 0 or process.maybe):
                    found.unfit[key] = "an unknown outcome leaves open how deep the hold was"
                elif reentrant:
                    _enter_again(found, hold, place, value)
                if reentrant:
                    continue
            if process.loose:
                found.unfit[key] = "a release of unknown outcome may have ended any of several holds"
            process.hold = Hold(place, end, last, None if value == NULL else value)
            state.holds.append(process.hold)
        elif reentrant and process.hold is not None and process.hold.depth > 1 and not process.maybe:
            hold = process.hold
            if outcome != OK or hold.release >= 0:
                found.unfit[key] = "a release of unknown outcome leaves open how deep the hold was"
            else:
                hold.depth -= 1
        elif not _release(process, state, place, start, end, sure=outcome == OK):
            if process.hold is not None and not process.hold.released:
                found.unfit[key] = "an acquire of unknown outcome and a release leave open what was held"
            elif not found.enough("release-without-hold"):
                text = f"{found.say(place)}, which held nothing"
                found.clash("release-without-hold", 1, (place,), text)
    for key, state in keys.items():
        if any(hold.start >= hold.end for hold in state.holds):
            found.unfit.setdefault(key, "a release was asked for in the tick in which its acquire ended")
    return keys


def _enter_again(found: Findings, hold: Hold, place: int, value: int) -> None:
    """Enter another acquire by the holder of a re-entrant lock."""
    hold.depth += 1
    token = None if value == NULL else value
    if token is not None and hold.token is not None and token < hold.token:
        if not found.enough("token-not-rising"):
            text = f"{found.say(place)} came after {found.say(hold.acquire)}: the token did not rise"
            found.clash("token-not-rising", 1, (hold.acquire, place), text)
    elif token is not None:
        hold.token = token


def _rows(history: History, ranks: Ranks) -> Iterator[tuple[int, ...]]:
    """Yield index, key, process, function, outcome, value, start, end and the key's last rank of every
    operation, in the order of their starts; in batches, to save memory."""
    order = np.argsort(ranks.start, kind="stable")
    for first in range(0, len(order), _CHUNK):
        some = order[first : first + _CHUNK]
        places, key = ranks.places[some], ranks.key[some]
        logged = (history.process, history.f, history.outcome, history.value)
        columns = (places, key, *(column[places] for column in logged), ranks.start[some], ranks.end[some])
        yield from zip(*(column.tolist() for column in (*columns, ranks.last[key])), strict=True)


def _release(process: _Process, state: _Key, place: int, start: int, end: int, *, sure: bool) -> bool:
    """Enter a release; return whether it is known what the release ended."""
    hold = process.hold
    if hold is not None and not hold.released:
        if process.maybe and (sure or hold.release >= 0):
            return False
        process.loose += hold.release >= 0
        if sure or hold.release < 0:
            hold.end, hold.release = start, place
        hold.released = sure
        return True
    if not sure:
        process.loose += 1
        return True
    if not process.maybe:
        return False
    process.maybe -= 1
    state.moments.append((start, end, place))
    return True


def _judge(found: Findings, state: _Key, logged: int) -> None:
    holds = sorted(state.holds, key=lambda h: h.start)
    longest: Hold | None = None
    highest: Hold | None = None
    covered: list[tuple[int, int]] = []
    for hold in holds:
        if longest is not None and hold.start < longest.end:
            _two_holders(found, longest, hold, logged)
        elif hold.token is not None and highest is not None and highest.token is not None:
            _fencing(found, highest, hold)
        if hold.token is not None and (
            highest is None or highest.token is None or hold.token > highest.token
        ):
            highest = hold
        if covered and hold.start <= covered[-1][1]:
            covered[-1] = covered[-1][0], max(covered[-1][1], hold.end)
        else:
            covered.append((hold.start, hold.end))
        if longest is None or hold.end > longest.end:
            longest = hold
    starts = [start for start, _ in covered]
    for start, end, place in state.moments:
        i = int(np.searchsorted(starts, start)) - 1
        if i >= 0 and end < covered[i][1] and not found.enough("two-holders"):
            other = next(h for h in holds if h.start < start and h.end > start)
            text = f"{found.say(place)} ended a hold while {found.say(other.acquire)} was in force"
            found.clash("two-holders", 1, (place, other.acquire), text)


def _two_holders(found: Findings, first: Hold, second: Hold, logged: int) -> None:
    if found.enough("two-holders"):
        return
    places = [p for h in (first, second) for p in (h.acquire, h.release) if 0 <= p < logged]
    one, other = found.say(first.acquire), found.say(second.acquire)
    text = f"{one} was in force when {other} ended: both held the lock at once"
    found.clash("two-holders", 1, places, text)


def _fencing(found: Findings, before: Hold, after: Hold) -> None:
    assert before.token is not None
    assert after.token is not None
    if after.token <= before.token and not found.enough("token-not-rising"):
        text = f"{found.say(after.acquire)} came after {found.say(before.acquire)}: the token did not rise"
        found.clash("token-not-rising", 1, (before.acquire, after.acquire), text)
