"""The one definition of "hung".

A process that others wait for **hangs** where all of this is so:

1. its time is over: ``within_s`` have passed since the last progress;
2. there was no progress since: no message, no log, no receipt (``progress`` is unchanged);
3. it stands still, and so does every process it may have to wait for: for some time none of them had a
   processor or waited for one (``Look``). For a single process that is examined: its main thread sleeps in
   the same place at two looks (``place_of_rest``).

Anything late that does not fit this is **slow**. On a busy machine, or with a slow backend, that is no hang.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Literal

from ipclab.host.stillness import Look

Waited = Literal["came", "hung", "slow"]
"""``came``: the condition held. ``hung``: it never will. ``slow``: there was still progress at the end."""
LOOK_S = 0.5
"""How long a late process is observed, to tell whether it is slow or stands still."""
SLOW_AT_MOST_S = 40.0
"""How much longer than its limit a process may work without any progress."""
LOOKS = 20
BETWEEN_LOOKS_S = 0.3


def outlast(
    wait: Callable[[Callable[[], bool], float], bool],
    until: Callable[[], bool],
    *,
    within_s: float,
    progress: Callable[[], object] = lambda: None,
    pids: Callable[[], Iterable[int]] = lambda: (),
    slow_at_most_s: float | None = None,
    at_most_s: float = float("inf"),
    look_s: float | None = None,
) -> Waited:
    """Wait until a condition holds; distinguish a hang from slowness.

    ``wait(until, seconds)`` waits for the condition for at most this long and returns whether it holds. Each
    change of ``progress()`` restarts ``within_s``; ``at_most_s`` bounds all of it. A process of ``pids()``
    that works without progress gets ``slow_at_most_s`` more, by default ``SLOW_AT_MOST_S``.
    """
    slow_at_most_s = SLOW_AT_MOST_S if slow_at_most_s is None else slow_at_most_s
    look_s = LOOK_S if look_s is None else look_s
    began = moved = time.monotonic()
    seen = progress()
    while True:
        now = time.monotonic()
        if now - began >= at_most_s:
            return "came" if until() else "slow"
        left_s = min(moved + within_s, began + at_most_s) - now
        if left_s > 0:
            if wait(until, min(left_s, max(look_s, within_s / 4))):
                return "came"
        else:
            before = Look.at(pids())
            if wait(until, look_s):
                return "came"
            still = progress() == seen and not Look.at(pids()).slow_since(before)
            if still:
                return "hung"
            if time.monotonic() - moved > within_s + slow_at_most_s and progress() == seen:
                return "slow"
        if (found := progress()) != seen:
            seen, moved = found, time.monotonic()


def at_work(pids: Iterable[int]) -> bool:
    """Return whether any of these is at work, or waits for a processor. Takes ``LOOK_S``."""
    watched = list(pids)
    before = Look.at(watched)
    time.sleep(LOOK_S)
    return Look.at(watched).slow_since(before)


def place_of_rest(
    look: Callable[[], str],
    has_come: Callable[[float], bool],
    *,
    after_s: float = 0.0,
    looks: int = LOOKS,
    between_s: float = BETWEEN_LOOKS_S,
) -> str | None:
    """Return the stack in which a process stands still; empty where it has returned, None for neither.

    ``look()`` returns the stack of its main thread while that sleeps, and an empty one while it runs.
    ``has_come(seconds)`` waits this long for a message or for the end of the process.
    """
    if has_come(after_s):
        return ""
    for _ in range(looks):
        first = look()
        if has_come(between_s):
            return ""
        if first and first == look() and not has_come(0.0):
            return first
    return None
