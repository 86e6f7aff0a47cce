"""A race that does not depend on luck: the lab makes two processes interleave, step by step.

A process that has read is held until the other has read too; then the first writes, then the second. Where
the second cannot come that far, it gets ``WAIT_S`` to try; that it has to wait is then the finding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from ipclab.backends.base import Counter, SharedState
from ipclab.backends.registry import shared_class
from ipclab.backends.shared import Mutex, Register
from ipclab.history.format import Model
from ipclab.trial.race_verdict import declared, judge, set_up
from ipclab.trial.racers import Racer, Racers
from ipclab.trial.record import Hold, Safety
from ipclab.trial.safety import Played, Stage

WAIT_S = 0.1
"""How long a safe discipline may keep the second process out before that counts as waiting. An unsafe one
declares that it keeps nobody out, so the lab waits for it without a limit."""


@dataclass(frozen=True, slots=True)
class _Pair:
    """Two racers, and the state for which they race."""

    shared: SharedState
    racers: Racers
    first: Racer
    second: Racer

    @property
    def wait_s(self) -> float | None:
        """Return how long to wait for the second; None for as long as it takes."""
        patient = not self.shared.safe or (isinstance(self.shared, Mutex) and self.shared.expires)
        return None if patient else WAIT_S


@dataclass(frozen=True, slots=True)
class _Result:
    """The result in one sentence, and its counts."""

    finding: str
    counts: dict[str, int] = field(default_factory=dict)


def play(stage: Stage) -> Played:
    """Force the race of this discipline."""
    spec = stage.spec
    shared = shared_class(stage.face, spec.backend)(stage.site, **spec.backend.options)
    base, model, force = _ways(shared)
    if type(shared).held_client is base.held_client:  # type: ignore[attr-defined]
        refused = f"{shared.name} does not say how its clients are held, so nothing can be forced on it"
        return Played(safety=Safety(model=model, verdict="valid", refused=refused), declared=declared(shared))
    with set_up(stage, shared), Racers(shared, stage.folder, patience_s=spec.grace_s) as racers:
        pair = _Pair(shared, racers, *racers.start(2, holding=True))
        if pair.first.out_of_reach:
            racers.leave()
            refused = f"what {shared.name} does between reading and writing is out of its clients' reach"
            safety = Safety(model=model, verdict="valid", refused=refused, hold="out of reach")
            return Played(safety=safety, declared=declared(shared))
        told = force(pair)
        racers.leave()
        safety = judge(stage, shared, model, racers.logs, finding=told.finding, counts=told.counts)
        safety = msgspec.structs.replace(safety, hold=_hold(pair))
        played = Played(safety=safety, options=dict(shared.chosen), declared=declared(shared))
        stage.found(played)
    return played


def _hold(pair: _Pair) -> Hold:
    """Return how the two were made to interleave. The holder of a lock is stopped, whatever its steps are."""
    one_step = not pair.first.holdable and not isinstance(pair.shared, Mutex)
    return "one step" if one_step else "held"


def _ways(shared: SharedState) -> tuple[type[SharedState], Model, Callable[[_Pair], _Result]]:
    if isinstance(shared, Counter):
        return Counter, "counter", _force_counter
    if isinstance(shared, Register):
        return Register, "register", _force_update if shared.compares else _force_read
    return Mutex, "lock", _force_lock


def _force_counter(pair: _Pair) -> _Result:
    """Force the order read, read, write, write."""
    waited = _interleave(pair, ("add", None), ("add", None))
    final = pair.racers.do(pair.first, "read")
    how = _how(pair, waited, noticed=final == 2)
    return _Result(f"{how}; the counter shows {final} after 2 increments", {"final": final})


def _force_update(pair: _Pair) -> _Result:
    """Let both compare with 0; then let the first set 1, then the second 2."""
    waited = _interleave(pair, ("cas", [0, 1]), ("cas", [0, 2]))
    took = [one.answer is True for one in (pair.first, pair.second)]
    pair.racers.do(pair.first, "read")
    how = _how(pair, waited, noticed=sum(took) == 1)
    return _Result(f"{how}; {sum(took)} of 2 were told that they had replaced the 0", {"replaced": sum(took)})


def _force_read(pair: _Pair) -> _Result:
    """Let the second read before, in the middle of and after a write of the first."""
    racers, first, second = pair.racers, pair.first, pair.second
    racers.do(second, "read")
    first.begin("write", 1)
    racers.settled(first)
    second.begin("read")
    waited = racers.settled(second, pair.wait_s) == "busy"
    racers.finish(first)
    middle = racers.finish(second)
    after = racers.do(second, "read")
    if waited:
        return _Result("the reader had to wait until the write was done")
    if first.holdable:
        return _Result(f"a read in the middle of the write of 1 found {middle}")
    return _Result(f"a read after the write of 1 found {after}")


def _force_lock(pair: _Pair) -> _Result:
    """Let the second come when the first has found the lock free; or, where finding it free is taking it,
    when the first holds it and is stopped. Both then use what it guards, the second first.
    """
    racers, first, second = pair.racers, pair.first, pair.second
    first.begin("acquire")
    stopped = racers.settled(first) == "done"
    if stopped:
        racers.stop(first)
    second.begin("acquire")
    waited = racers.settled(second, pair.wait_s) == "busy"
    if stopped:
        racers.resume(first)
    racers.finish(first)
    if waited:
        racers.do(first, "use")
        racers.do(first, "release")
        racers.finish(second)
        racers.do(second, "use")
        racers.do(second, "release")
        return _Result(
            "the second had to wait until the first, which was stopped meanwhile, released the lock"
        )
    racers.finish(second)
    racers.do(second, "use")
    taken = racers.do(first, "use")
    racers.do(first, "release")
    racers.do(second, "release")
    if not stopped:
        return _Result("both found the lock free before either took it, and both held it")
    lost = "the lock freed itself while its holder was stopped, and the second took it"
    if taken:
        return _Result(f"{lost}: both held it")
    return _Result(f"{lost}; what it guards refused the first, whose token was the older one", {"refused": 1})


def _interleave(pair: _Pair, one: tuple[str, object], other: tuple[str, object]) -> bool:
    """Force read, read, write, write where possible; return whether the second had to wait."""
    pair.first.begin(*one)
    pair.racers.settled(pair.first)
    pair.second.begin(*other)
    waited = pair.racers.settled(pair.second, pair.wait_s) == "busy"
    pair.racers.finish(pair.first)
    pair.racers.finish(pair.second)
    return waited


def _how(pair: _Pair, waited: bool, *, noticed: bool) -> str:
    if not pair.first.holdable:
        return "its backend says that an increment is one step, with nothing between reading and writing"
    if waited:
        return "the second had to wait until the first had written"
    if noticed:
        return "both read before either wrote, and the second noticed and began again"
    return "both read before either wrote"
