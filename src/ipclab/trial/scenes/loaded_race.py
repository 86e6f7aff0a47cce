"""A race under load, over a register or a lock: several processes at once, as fast as they can.

First every operation is logged, for the check. Then the same operations run without the log, for their rate,
because writing the log takes longer than many of them. All begin at the same moment each time. For the rate,
an operation counts where it ended within the window, as an increment of a counter does.
"""

from __future__ import annotations

from ipclab.backends.registry import shared_class
from ipclab.history.format import Model
from ipclab.host.clock import now_ns
from ipclab.trial.race_verdict import declared, judge, set_up
from ipclab.trial.racers import Racers
from ipclab.trial.safety import Played, Stage

MOST_ROUNDS = 1000
"""Logged operations of one process: a check of more would take longer than the race."""
LEAD_S = 0.005
"""Time between the starting signal and the start, so that every racer is waiting by then."""


def play(stage: Stage) -> Played:
    """Race for what the spec names: logged for ``warmup_s``, then measured for ``duration_s``."""
    spec = stage.spec
    model: Model = "lock" if stage.face == "lock" else "register"
    shared = shared_class(stage.face, spec.backend)(stage.site, **spec.backend.options)
    with set_up(stage, shared), Racers(shared, stage.folder, patience_s=spec.grace_s) as racers:
        started = racers.start(spec.producers, holding=False)
        begin_ns = now_ns() + int(LEAD_S * 1e9)
        racers.run(started, begin_ns, begin_ns + int(spec.warmup_s * 1e9), MOST_ROUNDS)
        begin_ns = now_ns() + int(LEAD_S * 1e9)
        done = racers.run(started, begin_ns, begin_ns + int(spec.duration_s * 1e9))
        racers.leave()
        safety = judge(stage, shared, model, racers.logs, counts={"measured": sum(done)})
        played = Played(
            safety=safety,
            options=dict(shared.chosen),
            declared=declared(shared),
            rate_per_s=sum(done) / spec.duration_s,
        )
        stage.found(played)
    return played
