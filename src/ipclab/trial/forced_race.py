"""A race that does not depend on luck: two processes are made to interleave, step by step.

A process that has read is held until the other has read too; then the first writes, then the second. Where
the second cannot come that far it is given ``WAIT_S`` to try, and that it has to wait is the finding.
"""

from __future__ import annotations

from ipclab.backends.base import Counter, SharedState, Site
from ipclab.backends.registry import counter_class
from ipclab.interruptions import ending_blocked
from ipclab.trial.race_verdict import declared, judge
from ipclab.trial.racers import Racer, Racers, State
from ipclab.trial.record import Safety
from ipclab.trial.safety import Played, Stage
from ipclab.trial.spec import TrialSpec

WAIT_S = 0.1
"""How long a safe discipline may keep the second process out before that counts as waiting. An unsafe one
declares that it keeps nobody out, so it has all the time there is."""


def play(stage: Stage) -> Played:
    """Force the race of this discipline."""
    shared = _shared(stage.spec, stage.site)
    if _is_silent(shared):
        refused = f"{shared.name} does not say how its clients are held, so nothing can be forced on it"
        return Played(safety=Safety(model="counter", verdict="valid", refused=refused))
    try:
        shared.setup()
        with Racers(shared, stage.folder, patience_s=stage.spec.grace_s) as racers:
            first, second = racers.start(2, holding=True)
            safety = _force_counter(stage, shared, racers, first, second)
    finally:
        with ending_blocked():
            shared.teardown()
    return Played(safety=safety, options=dict(shared.chosen), declared=declared(shared))


def _shared(spec: TrialSpec, site: Site) -> SharedState:
    return counter_class(spec.backend)(site, **spec.backend.options)


def _is_silent(shared: SharedState) -> bool:
    return isinstance(shared, Counter) and type(shared).held_client is Counter.held_client


def _force_counter(stage: Stage, shared: SharedState, racers: Racers, first: Racer, second: Racer) -> Safety:
    met = _interleave(racers, shared, first, second, "add")
    final = racers.do(first, "read")
    racers.leave()
    return judge(
        stage,
        shared,
        "counter",
        racers.logs,
        finding=f"{_words(first, met, noticed=final == 2)}; the counter shows {final} after 2 increments",
        counts={"final": final},
    )


def _interleave(racers: Racers, shared: SharedState, first: Racer, second: Racer, f: str) -> State:
    """Both do ``f``: read, read, write, write, as far as the discipline lets them. How far the second came
    while the first was held."""
    first.begin(f)
    racers.settled(first)
    second.begin(f)
    met = racers.settled(second, WAIT_S if shared.safe else None)
    racers.finish(first)
    racers.finish(second)
    return met


def _words(first: Racer, met: State, *, noticed: bool) -> str:
    if not first.holdable:
        return "it is one request, so that nothing can come between its reading and its writing"
    if met == "held":
        return f"both read before either wrote{', and the second noticed and began again' if noticed else ''}"
    return "the second had to wait until the first had written"
