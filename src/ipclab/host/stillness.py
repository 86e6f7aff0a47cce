"""Whether processes stand still or are only slow, from what the system reports; the processes are not asked.

On a busy machine, a process may need many times as long as on an idle one. It then has a processor, or waits
for one; a process that hangs does neither.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ipclab.host.resources import cpu_s, queued_s

BUSY_SHARE = 0.25
"""Share of the time between two looks in which a slow process had a processor or waited for one; a process
with less stands still. A consumer that polls an empty channel needs less."""
STATE_WITHIN_S = 5.0
_POLL_S = 0.001
ENDED = "ZX"
STOPPED = "Tt"


@dataclass(frozen=True, slots=True)
class Look:
    """What some processes had used by a moment: processor time, and time in the run queue.

    ``runnable`` are those that had a processor, or waited for one, at that moment: the system counts the time
    in the queue only when it is over, which on a busy machine may be after the next look.
    """

    at_s: float
    used_s: Mapping[int, float]
    runnable: frozenset[int] = frozenset()

    @classmethod
    def at(cls, pids: Iterable[int]) -> Look:
        """Take a look at the processes; leave out those that are gone."""
        found = {pid: used for pid in pids if (used := _used_s(pid)) is not None}
        return cls(time.monotonic(), found, frozenset(filter(_is_runnable, found)))

    def slow_since(self, before: Look) -> bool:
        """Return whether any of them ran, or wanted to run, for much of the time since that look."""
        return bool(self.at_work_since(before))

    def at_work_since(self, before: Look) -> frozenset[int]:
        """Return those that ran, or wanted to run, for much of the time since that look."""
        enough_s = (self.at_s - before.at_s) * BUSY_SHARE
        return self.runnable & before.runnable | frozenset(
            pid for pid, used in self.used_s.items() if used - before.used_s.get(pid, used) >= enough_s
        )


def _used_s(pid: int) -> float | None:
    used = None if gone(pid) else cpu_s(pid)
    return None if used is None else used + (queued_s(pid) or 0.0)


def _is_runnable(pid: int) -> bool:
    """Return whether any thread of the process has a processor or waits for one."""
    try:
        stats = [(task / "stat").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:
        return False
    return any(stat.rpartition(")")[2].split()[0] == "R" for stat in stats)


def state(pid: int) -> str:
    """Return Linux's letter for the state of a process's main thread: R, S, D, T …; empty if it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def asleep(pid: int) -> bool:
    """Return whether the process waits for something other than a processor."""
    return state(pid) == "S"


def stopped(pid: int) -> bool:
    """Return whether a signal has stopped the process."""
    found = state(pid)
    return found != "" and found in STOPPED


def gone(pid: int) -> bool:
    """Return whether the process has ended; it may still wait to be reaped."""
    found = state(pid)
    return not found or found in ENDED


def all_stopped(pids: Iterable[int], within_s: float = STATE_WITHIN_S) -> bool:
    """Wait until all are stopped, which takes until they next run; return whether they are."""
    return all(_reaches(pid, STOPPED, within_s) for pid in pids)


def all_gone(pids: Iterable[int], within_s: float = STATE_WITHIN_S) -> bool:
    """Wait until all of them have ended; return whether they have."""
    return all(_reaches(pid, ENDED, within_s) for pid in pids)


def _reaches(pid: int, states: str, within_s: float) -> bool:
    deadline = time.monotonic() + within_s
    while (found := state(pid)) and found not in states:
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return bool(found) or states == ENDED
