"""Reduces operations without a linearization to a few that have none either.

First, find the shortest beginning of the history that has none: operations that had not ended by then are
open, and if the whole fits an order, every beginning does. Then leave out whatever can be left out so that
the rest would fit an order if the whole did: reads and empty answers, all operations on a value, all of a
process that locks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from ipclab.checks.models import STEPS, Call, State, Step
from ipclab.checks.search import search
from ipclab.history.format import Model
from ipclab.history.values import NULL

STEPS_A_TRY = 20_000


def shrink(
    calls: Sequence[Call], model: Model, until_s: float, specification: tuple[State, Step] | None = None
) -> list[Call]:
    """Return fewer of these operations that have no linearization; ``calls`` must have none.

    Stop at ``until_s`` of ``time.monotonic()`` with the result so far.
    """
    initial, step = specification or STEPS[model]

    def fails(some: Sequence[Call]) -> bool:
        return search(some, initial, step, until_s=until_s, most_steps=STEPS_A_TRY).verdict == "invalid"

    left = _beginning(list(calls), model, fails)
    size = max(len(_groups(left, model)) // 2, 1)
    while time.monotonic() < until_s:
        left, shorter = _without(left, model, size, fails, until_s)
        if size == 1 and not shorter:
            break
        size = max(size // 2, 1)
    return left


def _beginning(calls: list[Call], model: Model, fails: Callable[[Sequence[Call]], bool]) -> list[Call]:
    ends = sorted(c.end for c in calls if c.required)
    low, high = 0, len(ends) - 1
    best = calls
    while low < high:
        middle = (low + high) // 2
        some = _until(calls, ends[middle], model)
        if fails(some):
            high, best = middle, some
        else:
            low = middle + 1
    return best


def _until(calls: Sequence[Call], rank: int, model: Model) -> list[Call]:
    """Return the operations as known at a rank."""
    found = []
    for c in calls:
        if c.start > rank:
            continue
        if c.end <= rank or not c.required:
            found.append(c)
        elif c.f == "dequeue":
            found.append(Call("take", None, c.start, c.end, False, c.place, c.after))
        elif c.f not in ("read", "miss"):
            value = (c.value[0], NULL) if model == "lock" and c.f == "acquire" else c.value
            found.append(Call(c.f, value, c.start, c.end, False, c.place, c.after))
    return found


def _without(
    calls: list[Call], model: Model, size: int, fails: Callable[[Sequence[Call]], bool], until_s: float
) -> tuple[list[Call], bool]:
    """Leave out as many runs of ``size`` groups as possible; return the rest, and whether it is less."""
    groups = _groups(calls, model)
    gone: set[int] = set()
    for i in range(0, len(groups), size):
        if time.monotonic() > until_s:
            break
        more = gone.union(*groups[i : i + size])
        rest = [c for c in calls if c.place not in more]
        if fails(rest):
            gone = more
    return [c for c in calls if c.place not in gone], bool(gone)


def _groups(calls: Sequence[Call], model: Model) -> list[set[int]]:
    """Return sets of indexes that the search may leave out, alone or together."""
    alone = [{c.place} for c in calls if c.f in ("read", "miss") or (c.f == "dequeue" and c.value == NULL)]
    if model == "counter":
        return alone
    # Without the operations between, a miss may meet the value that it says was not there.
    misses = {c.place for c in calls if c.f == "miss"}
    linked: dict[object, set[object]] = {}
    for c in calls:
        names = _ties(c, model)
        if not names:
            continue
        joined = set(names).union(*(linked.get(name, set()) for name in names))
        for name in joined:
            linked[name] = joined
    classes: dict[int, set[int]] = {}
    for c in calls:
        names = _ties(c, model)
        if names and NULL not in linked[names[0]]:
            classes.setdefault(id(linked[names[0]]), set()).add(c.place)
    return [*alone, *(group | misses for group in classes.values())]


def _ties(call: Call, model: Model) -> list[object]:
    """Return the values that an operation ties together; for a lock the process."""
    if model == "lock":
        return [call.value[0]]
    if call.f in ("take", "miss"):
        return []
    return list(call.value) if call.f == "cas" else [call.value]
