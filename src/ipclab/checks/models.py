"""The sequential specifications that the search tries: what an object does, one operation at a time."""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ipclab.checks.lock import with_kills
from ipclab.checks.ranks import rank, touching
from ipclab.history.columns import FAIL, OK, History
from ipclab.history.format import NAMES, Model
from ipclab.history.values import NULL


class Impossible:
    """The answer of a step where the operation cannot be next."""


IMPOSSIBLE = Impossible()
State = Hashable
Step = Callable[[Any, str, Any], Any]


@dataclass(frozen=True, slots=True)
class Call:
    """An operation as the search takes it: what it does to the state, between which ranks, and whether it
    must have happened. ``place`` is its index in the history. Two have another name than there: a dequeue of
    unknown outcome is a ``take``, a cas that found another value is a ``miss``. ``after`` is the index of the
    operation before it of the same process where the two touch, which the ranks do not show; else -1."""

    f: str
    value: Any
    start: int
    end: int
    required: bool
    place: int
    after: int = -1


def _register(state: Any, f: str, value: Any) -> Any:
    if f == "write":
        return value
    if f == "read":
        return state if state == value else IMPOSSIBLE
    old, new = value
    if f == "miss":
        return IMPOSSIBLE if state == old else state
    return new if state == old else IMPOSSIBLE


def _queue(state: Any, f: str, value: Any) -> Any:
    if f == "enqueue":
        return (*state, value)
    if f == "take":
        return state[1:] if state else IMPOSSIBLE
    if value == NULL:
        return IMPOSSIBLE if state else state
    return state[1:] if state and state[0] == value else IMPOSSIBLE


def _counter(state: Any, f: str, value: Any) -> Any:
    if f == "add":
        return state + value
    return state if state == value else IMPOSSIBLE


def _lock(state: Any, f: str, value: Any) -> Any:
    """Apply a lock operation. State: the holder or None, and the greatest token so far."""
    holder, greatest = state
    who, token = value
    if f == "release":
        return (None, greatest) if holder == who else IMPOSSIBLE
    if holder is not None or (token != NULL and greatest is not None and token <= greatest):
        return IMPOSSIBLE
    return who, greatest if token == NULL else token


def _reentrant_lock(state: Any, f: str, value: Any) -> Any:
    """Apply an operation of a re-entrant lock. State: the holder or None, its depth, the greatest token."""
    holder, depth, greatest = state
    who, token = value
    if f == "release":
        if holder != who:
            return IMPOSSIBLE
        return (None, 0, greatest) if depth == 1 else (who, depth - 1, greatest)
    if holder not in (None, who):
        return IMPOSSIBLE
    if token != NULL and greatest is not None and (token < greatest or (token == greatest and depth == 0)):
        return IMPOSSIBLE
    return who, depth + 1, greatest if token == NULL else token


STEPS: dict[Model, tuple[State, Step]] = {
    "register": (NULL, _register),
    "queue": ((), _queue),
    "counter": (0, _counter),
    "lock": ((None, None), _lock),
}
"""The initial state and the step of every model that has a sequential specification."""
REENTRANT: tuple[State, Step] = ((None, 0, None), _reentrant_lock)
"""The initial state and the step of a lock whose holder may acquire it again."""
_SAME = {"send": "enqueue", "receive": "dequeue"}


def calls(history: History, model: Model, keys: Collection[int] | None = None) -> dict[int, list[Call]]:
    """Return what to search, by key (all keys, or these), in the order of invocation.

    An operation that has no known end and cannot change anything is left out.
    """
    if model == "lock":
        history = with_kills(history, reentrant=history.header.reentrant is True)
    ranks = rank(history)
    wanted = np.arange(len(ranks.key)) if keys is None else np.flatnonzero(np.isin(ranks.key, list(keys)))
    after = {later: earlier for earlier, later, _ in touching(history)}
    found: dict[int, list[Call]] = {}
    for i in wanted[np.argsort(ranks.start[wanted], kind="stable")].tolist():
        place = int(ranks.places[i])
        f = NAMES[history.f[place]]
        f = _SAME.get(f, f)
        required = bool(history.outcome[place] == OK)
        if not required and f == "read":
            continue
        value: Any = int(history.value[place])
        if not required and f == "dequeue":
            f, value = "take", None
        elif f == "cas":
            value = tuple(history.values.code(v) for v in history.values.value(value))
            if history.outcome[place] == FAIL:
                f, required = "miss", True
        elif model == "lock":
            value = int(history.process[place]), value
        call = Call(f, value, int(ranks.start[i]), int(ranks.end[i]), required, place, after.get(place, -1))
        found.setdefault(int(ranks.key[i]), []).append(call)
    return found
