"""The same work in threads, processes or interpreters; or a number that they share.

All of it runs in one process of its own, so that what it measures is not the trial's.
"""

from __future__ import annotations

from ipclab.checks.breach import Breach
from ipclab.errors import UnknownNameError
from ipclab.host.start_methods import StartMethod
from ipclab.trial.client.bench import Bench
from ipclab.trial.record import Safety
from ipclab.trial.safety import Played, Stage
from ipclab.trial.thread_facts import COUNTING, Case, ThreadFigures, cases
from ipclab.trial.threads import numbers, queues


def play(stage: Stage) -> Played:
    """Play the case that the spec names. Raise UnknownNameError, or ChannelError where it fails."""
    known = {case.name: case for case in cases(interpreters=True)}
    name = stage.spec.scenario
    if name not in known:
        raise UnknownNameError("scenario", name, known)
    with Bench(stage.site, stage.folder) as bench:
        child = bench.start(
            "measurement", _measure, known[name], stage.spec.duration_s, stage.spec.start_method, forks=True
        )
        figures: ThreadFigures = child.result()
    played = Played(safety=_judge(figures), threads=figures, rate_per_s=figures.items / figures.seconds)
    stage.found(played)
    return played


def _measure(_parent: object, case: Case, seconds: float, start_method: StartMethod) -> ThreadFigures:
    """Return the figures of a case, in a process of its own."""
    if case.work in COUNTING:
        return numbers.count(case, start_method)
    return queues.measure(case, seconds, start_method)


def _judge(figures: ThreadFigures) -> Safety:
    """Return the verdict: a number under a lock must be right; what the others lose is shown."""
    if figures.counted is None:
        finding = "a change is seen by the sender" if figures.same_object else "the receiver has a copy"
        return Safety(model="delivery", verdict="valid", counts={"items": figures.items}, finding=finding)
    lost = figures.items - figures.counted
    broken = []
    if lost and figures.work == "n += 1, locked":
        broken.append(Breach(kind="lost", amount=lost, text=f"lost {lost} increments under a lock"))
    return Safety(
        model="counter",
        verdict="invalid" if broken else "valid",
        broken=broken,
        counts={"increments": figures.items, "counted": figures.counted},
        shown=lost > 0,
        finding=f"lost {lost} of {figures.items} increments",
    )
