"""Turns the logs of a crash or order trial into its verdict: merge, check, compare with the declaration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from pathlib import Path

from ipclab.backends.base import Guarantees
from ipclab.checks.breach import Breach, BreachKind
from ipclab.checks.delivery import Verdict as Word
from ipclab.checks.drops import Drops
from ipclab.checks.timeline import draw
from ipclab.checks.verdict import Verdict
from ipclab.checks.verify import check
from ipclab.history.columns import History
from ipclab.history.format import VERSION, Header, Model
from ipclab.history.reader import read
from ipclab.history.store import merge
from ipclab.trial.primitive import Place, name_primitive
from ipclab.trial.safety import Stage


def header(stage: Stage, guarantees: Guarantees, model: Model, **more: object) -> Header:
    """Return the first line of the history of this trial."""
    what = str(stage.spec.fault or stage.spec.scenario)
    return Header(
        ipclab_history=VERSION,
        model=model,
        backend=str(stage.spec.backend),
        title=f"{stage.spec.workload}: {what}",
        guarantee=guarantees.delivery,
        ordered=keeps_order(guarantees, fault=stage.spec.fault is not None),
        fan_out=guarantees.fan_out,
        acknowledged=guarantees.delivery == "at-least-once",
        **more,  # type: ignore[arg-type]
    )


def keep(stage: Stage, head: Header, logs: Iterable[Path]) -> History:
    """Merge the logs into the file that the trial keeps, and return the history read back from that file: the
    lab judges exactly what it keeps."""
    path = stage.history or stage.folder / "history.jsonl.gz"
    merge(path, head, [log for log in logs if log.exists()])
    return read(path)


def promise(
    counts: Mapping[str, int],
    guarantees: Guarantees,
    cause: str | None,
    *,
    fault: bool,
    undelivered: bool = False,
    at_most: int | None = None,
    drops: Drops | None = None,
    expired: bool = False,
) -> list[Breach]:
    """Return the breaches of the declared guarantees. ``fault`` says whether there was a fault, and ``cause``
    is the loss cause that it counts as. ``undelivered`` says that no consumer was left, so that messages
    which did not arrive are not known to be lost. ``at_most`` is the number of messages that the cause can
    cost if it damages none, None for no bound. ``drops`` is what the server itself dropped: it excuses the
    losses that it explains, whatever the cause; overload then excuses no others. ``expired`` says that the
    lost messages may have expired, as declared."""
    broken: list[Breach] = []
    if not guarantees.safe:
        return broken

    def breach(kind: BreachKind, amount: int, text: str) -> None:
        broken.append(Breach(kind=kind, amount=amount, text=text))

    torn = cause in guarantees.may_corrupt
    lost = counts.get("lost", 0)
    received = counts.get("unacknowledged", 0)
    never_finished = f", {received} of them received but never acknowledged" if received else ""
    by_server = drops is not None and drops.items > 0 and drops.explain(lost)
    if lost and not undelivered and not by_server and not expired:
        if cause not in guarantees.may_lose or (cause == "overload" and drops is not None):
            dropped = drops.in_words if drops is not None else ""
            breach("lost", lost, f"lost {lost} confirmed {_messages(lost)}{never_finished}{dropped}")
        elif at_most is not None and lost > at_most and not torn:
            text = (
                f"lost {lost} confirmed {_messages(lost)}{never_finished}, where {at_most} can have been held"
            )
            breach("lost", lost, text)
    again = counts.get("duplicated", 0)
    if again and guarantees.delivery == "at-most-once":
        breach("duplicated", again, f"delivered {again} {_messages(again)} again")
    if (late := counts.get("reordered", 0)) and keeps_order(guarantees, fault=fault or again > 0):
        breach("reordered", late, f"delivered {late} {_messages(late)} out of their producer's order")
    if not torn and (many := counts.get("unexpected", 0)):
        breach("unexpected", many, f"delivered {many} {_messages(many)} that nobody sent")
    if not torn and (many := counts.get("corrupted", 0)):
        breach("corrupted", many, f"delivered {many} {_messages(many)} whose bytes were damaged")
    if early := counts.get("received_before_sent", 0):
        text = f"delivered {early} {_messages(early)} before they were sent"
        breach("received_before_sent", early, text)
    return broken


def keeps_order(guarantees: Guarantees, *, fault: bool) -> bool:
    """Return whether the order of each producer's messages is promised.

    It is as long as nothing is redelivered. After a fault a broker may redeliver, even if the first delivery
    reached nobody.
    """
    return guarantees.order == "per-producer" and not (fault and guarantees.delivery == "at-least-once")


def counterexample(history: History, verdict: Verdict) -> str:
    """Return the smallest counterexample as a timeline with its explanation; empty without one."""
    if verdict.counterexample is None:
        return ""
    return f"{verdict.counterexample.explanation}\n{draw(history, verdict.counterexample)}"


def strict(history: History, model: Model, budget_s: float) -> Verdict:
    """Return the verdict of the check when nothing is excused or declared."""
    if model == "delivery":
        return check(history, model, guarantee="exactly-once", ordered=True, excuses=False, budget_s=budget_s)
    return check(history, model, budget_s=budget_s)


def too_slow(stacks: Mapping[str, str], slow: Set[str], own: Sequence[Place]) -> dict[str, str]:
    """Return by process, of those that were ``slow``, what they were at when their time was up."""
    return {
        name: f"Slow: it was still at work, in {name_primitive(stack, own)}, when its time was up"
        for name, stack in stacks.items()
        if name in slow
    }


def word(broken: list[Breach], *, known: bool) -> Word:
    """Return ``invalid`` for any breach, ``unknown`` where the check could not decide, else ``valid``."""
    return "invalid" if broken else "valid" if known else "unknown"


def _messages(many: int) -> str:
    return "message" if many == 1 else "messages"
