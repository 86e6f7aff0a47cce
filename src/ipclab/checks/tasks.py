"""The ledger of a task queue: what became of every task, from what was submitted and what was executed. Pure.

A task is *lost* or *stuck* only where it was confirmed and never ended by itself. It is stuck where the
broker still holds it, or where it ran only after the nudge: a fresh worker and one more task. Otherwise it
is lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec


@dataclass(frozen=True, slots=True)
class Submission:
    """One task that was submitted. ``confirmed_ns`` is None where ``send()`` raised or did not return."""

    body: str
    intended_ns: int
    began_ns: int
    confirmed_ns: int | None


@dataclass(frozen=True, slots=True)
class Effect:
    """One entry of the log of effects: a task began or ended, in this process, at this time."""

    kind: Literal["begin", "end"]
    body: str
    pid: int
    at_ns: int


class TaskLedger(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What became of all tasks. Counts are of tasks.

    ``attempted``    whose submission was begun.
    ``confirmed``    whose submission returned.
    ``executed``     that ended at least once.
    ``lost``         confirmed, never ended, and not held by the broker any more.
    ``stuck``        confirmed, and not ended until the nudge: held by the broker, or ended after the nudge.
    ``late``         of the stuck ones, those that ended after the nudge.
    ``twice``        that ended more than once.
    ``begun_twice``  that began more than once: an effect that was left half done is begun again.
    ``half_done``    that began and never ended.
    ``unexpected``   that were executed and never submitted.
    ``redone_after_ns``  from the fault until an interrupted task began again; None where none did.
    """

    attempted: int
    confirmed: int
    executed: int
    lost: int
    stuck: int
    late: int
    twice: int
    begun_twice: int
    half_done: int
    unexpected: int = 0
    redone_after_ns: int | None = None


def settle(
    submissions: Sequence[Submission],
    effects: Sequence[Effect],
    *,
    held: Collection[str] | None = None,
    struck_ns: int | None = None,
    nudged_ns: int | None = None,
) -> TaskLedger:
    """Return the ledger of these tasks.

    ``held``       the tasks that the broker still held at the end; None where that is not known.
    ``struck_ns``  when the fault took effect; ``nudged_ns``: when the fresh worker was started.
    """
    known = {one.body for one in submissions}
    confirmed = {one.body for one in submissions if one.confirmed_ns is not None}
    begins = Counter(one.body for one in effects if one.kind == "begin" and one.body in known)
    ends = Counter(one.body for one in effects if one.kind == "end" and one.body in known)
    first_end = {one.body: one.at_ns for one in sorted(effects, key=_late_first) if one.kind == "end"}
    open_ = confirmed - ends.keys()
    left = open_ & set(held or ())
    late = {body for body in confirmed & ends.keys() if nudged_ns is not None and first_end[body] > nudged_ns}
    return TaskLedger(
        attempted=len(known),
        confirmed=len(confirmed),
        executed=len(ends),
        lost=len(open_ - left),
        stuck=len(left | late),
        late=len(late),
        twice=sum(many > 1 for many in ends.values()),
        begun_twice=sum(many > 1 for many in begins.values()),
        half_done=len(begins.keys() - ends.keys()),
        unexpected=len({one.body for one in effects} - known),
        redone_after_ns=_redone(effects, known, struck_ns),
    )


def _late_first(one: Effect) -> int:
    return -one.at_ns


def _redone(effects: Sequence[Effect], known: Collection[str], struck_ns: int | None) -> int | None:
    """Return how long after the fault the first task that had begun before it began again."""
    if struck_ns is None:
        return None
    begun = {one.body for one in effects if one.kind == "begin" and one.at_ns <= struck_ns}
    begun -= {one.body for one in effects if one.kind == "end" and one.at_ns <= struck_ns}
    again = [
        one.at_ns - struck_ns
        for one in effects
        if one.kind == "begin" and one.at_ns > struck_ns and one.body in begun and one.body in known
    ]
    return min(again, default=None)
