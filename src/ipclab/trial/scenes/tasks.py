"""A task queue in use: how fast it is, or what a fault does to eight tasks of one worker with one executor.

The lab starts the framework's own worker and a process that submits. With a fault: the gate holds the tasks
at the stated moment, the fault strikes, a supervisor starts what has ended again, and the gate opens. When
nothing happens any more, a fresh worker and one more task tell a task that is stuck from one that is lost.
"""

from __future__ import annotations

import contextlib

from ipclab.backends.base import Guarantees, LossCause
from ipclab.backends.registry import task_class
from ipclab.backends.tasks.base import TaskQueue
from ipclab.brokers.settings import applied
from ipclab.checks.breach import Breach
from ipclab.checks.tasks import TaskLedger
from ipclab.trial import serving
from ipclab.trial.phases import watched
from ipclab.trial.record import Latency, Safety
from ipclab.trial.safety import Played, Stage
from ipclab.trial.task_facts import TaskFault
from ipclab.trial.tasks.bench import Bench
from ipclab.trial.tasks.calm import measure
from ipclab.trial.tasks.fault import MOST_WAITED_S, suffer


def play(stage: Stage) -> Played:
    """Play the trial of ``stage.spec.task_fault``, or a calm one without. Raise what the framework raises."""
    kind = task_class(stage.spec.backend)
    queue = kind(stage.site, **stage.spec.backend.options)
    versions = kind.versions()
    options = dict(queue.chosen)
    guarantees = serving.under(queue.guarantees, stage.broker, stage.spec.broker_settings)
    declared = guarantees.described()
    if refusal := _refusal(stage, queue):
        refused = Safety(model="delivery", verdict="valid", refused=refusal)
        return Played(safety=refused, options=options, declared=declared)
    with contextlib.ExitStack() as stack:
        if stage.broker is not None and stage.spec.broker_settings:
            stack.enter_context(applied(stage.broker, stage.spec.broker_settings))
        stack.callback(_tear_down, queue)
        with watched("setup()"):
            queue.setup()
        bench = stack.enter_context(Bench(stage, queue))
        latency = Latency()
        fault = stage.spec.task_fault
        if fault is None:
            figures, latency = measure(bench, versions)
        else:
            figures = suffer(bench, fault, versions)
        waited = queue.redelivers_after_s <= MOST_WAITED_S
        safety = judge(figures.ledger, fault, guarantees, waited=waited)
        played = Played(safety=safety, options=options, declared=declared, tasks=figures, latency=latency)
        stage.found(played)
    return played


def _tear_down(queue: TaskQueue) -> None:
    with watched("teardown()"):
        queue.teardown()


def _refusal(stage: Stage, queue: TaskQueue) -> str:
    fault, broker = stage.spec.task_fault, stage.broker
    if broker is not None and not broker.ours:
        return (
            f"a framework's worker uses names of its own on the server, and the lab did not start "
            f"{broker.kind} at {broker.masked_url}; choose --provider compose or native"
        )
    if fault is None:
        return ""
    if fault.target == "broker" and broker is None:
        return f"{queue.name} has no broker"
    if not queue.executor_waits and fault.target == "executor" and fault.moment == "idle":
        return f"{queue.name} starts a process for each task, so there is no idle executor"
    if queue.in_process and fault.stops:
        return f"{queue.name} has no second worker that could take over from a paused one"
    return ""


def judge(ledger: TaskLedger, fault: TaskFault | None, guarantees: Guarantees, *, waited: bool) -> Safety:
    """Return the verdict. Stuck tasks are a breach only where the lab ``waited`` for their redelivery."""
    cause: LossCause | None = None
    if fault is not None:
        cause = "broker crash" if fault.target == "broker" else "consumer crash"
    missing = ledger.lost + (ledger.stuck - ledger.late if waited else 0)
    broken = []
    if missing and cause not in guarantees.may_lose:
        text = f"lost {missing} confirmed tasks" if missing > 1 else "lost 1 confirmed task"
        broken.append(Breach(kind="lost", amount=missing, text=text))
    if ledger.twice and guarantees.delivery == "at-most-once":
        text = f"executed {ledger.twice} task{'s' * (ledger.twice > 1)} again"
        broken.append(Breach(kind="duplicated", amount=ledger.twice, text=text))
    if ledger.unexpected:
        text = f"executed {ledger.unexpected} tasks that nobody submitted"
        broken.append(Breach(kind="unexpected", amount=ledger.unexpected, text=text))
    return Safety(
        model="delivery",
        verdict="invalid" if broken else "valid",
        broken=broken,
        counts={
            "attempted": ledger.attempted,
            "confirmed": ledger.confirmed,
            "indefinite": ledger.attempted - ledger.confirmed,
            "received": ledger.executed,
            "lost": ledger.lost,
            "undelivered": ledger.stuck - ledger.late,
            "duplicated": ledger.twice,
            "unexpected": ledger.unexpected,
        },
        finding=_finding(ledger),
    )


def _finding(ledger: TaskLedger) -> str:
    """Return what became of the tasks, in a few words."""
    parts = [f"executed {ledger.executed} of {ledger.confirmed} confirmed"]
    counts = {"lost": ledger.lost, "stuck": ledger.stuck, "twice": ledger.twice}
    parts += [f"{name} {many}" for name, many in counts.items() if many]
    return ", ".join(parts)
