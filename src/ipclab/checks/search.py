"""Wing and Gong's search for a linearization, with Lowe's memory of what was tried.

A configuration is the set of operations that have taken effect and the state that they led to. The next one
is any operation that began before the first end of those that have not. One that fits and changes nothing is
taken at once, because that excludes no other order. An operation without a known end may be taken after its
start, or never. The search takes exponential time at worst, so steps and seconds are limited.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ipclab.checks.delivery import Verdict as Word
from ipclab.checks.models import IMPOSSIBLE, Call, State, Step

MOST_STEPS = 1_000_000
_LOOK_AT_CLOCK = 0x3FF
_PURE = frozenset(("read", "dequeue", "miss"))
"""Where these fit and change nothing they block no other operation (a write of the present value may)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``valid``: a linearization was found; ``invalid``: there is none; ``unknown``: the limit was reached
    after this many ``steps``."""

    verdict: Word
    steps: int


def search(
    calls: Sequence[Call],
    initial: State,
    step: Step,
    *,
    until_s: float = float("inf"),
    most_steps: int = MOST_STEPS,
) -> Outcome:
    """Search the operations of one key. ``until_s`` is a time of ``time.monotonic()``."""
    must = sorted((c for c in calls if c.required), key=lambda c: c.start)
    may = sorted((c for c in calls if not c.required), key=lambda c: c.start)
    starts, ends = [c.start for c in must], [c.end for c in must]
    at = {c.place: i for i, c in enumerate(must)}
    before = [at.get(c.after, -1) for c in must]
    doings = [(c.f, c.value) for c in must]
    kinds = _kinds(may, at)
    n = len(must)
    steps = 0
    # Up to where all took effect, which of the following did, how many of each open kind did, the state.
    first = (0, 0, (0,) * len(kinds), initial)
    stack = [first]
    seen = {first}
    while stack:
        base, mask, taken, state = stack.pop()
        if base == n:
            return Outcome("valid", steps)
        steps += 1
        if steps > most_steps or (not steps & _LOOK_AT_CLOCK and time.monotonic() > until_s):
            return Outcome("unknown", steps)
        soonest = ends[base]
        i = base
        rest = mask
        nexts = []
        while i < n and starts[i] < soonest:
            if not rest & 1:
                if ends[i] < soonest:
                    soonest = ends[i]
                f, value = doings[i]
                after = step(state, f, value) if _has(base, mask, before[i]) else IMPOSSIBLE
                if after is not IMPOSSIBLE:
                    change = (*_take(base, mask, i), taken, after)
                    if f in _PURE and after == state:
                        nexts = [change]
                        break
                    nexts.append(change)
            rest >>= 1
            i += 1
        else:
            for k, (began, f, value, behind) in enumerate(kinds):
                count = taken[k]
                if count < len(began) and began[count] < soonest and _has(base, mask, behind):
                    after = step(state, f, value)
                    if after is not IMPOSSIBLE and after != state:
                        nexts.append((base, mask, (*taken[:k], count + 1, *taken[k + 1 :]), after))
        for change in reversed(nexts):
            if change not in seen:
                seen.add(change)
                stack.append(change)
    return Outcome("invalid", steps)


def _has(base: int, mask: int, i: int) -> bool:
    """Return whether the required operation ``i`` has taken effect; the one before the first, -1, has."""
    return i < base or bool(mask >> (i - base) & 1)


def _take(base: int, mask: int, i: int) -> tuple[int, int]:
    mask |= 1 << (i - base)
    while mask & 1:
        mask >>= 1
        base += 1
    return base, mask


def _kinds(may: Sequence[Call], at: Mapping[int, int]) -> list[tuple[list[int], str, object, int]]:
    """Group open operations that do the same and are equally free; return each group in the order of starts.

    No other order of them allows more. Each group has the required operation that each of it follows, or
    -1."""
    kinds: dict[tuple[str, object, int], list[int]] = {}
    for call in may:
        kinds.setdefault((call.f, call.value, at.get(call.after, -1)), []).append(call.start)
    return [(began, f, value, behind) for (f, value, behind), began in kinds.items()]
