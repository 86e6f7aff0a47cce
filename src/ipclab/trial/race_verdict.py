"""Turns the logs of racers into the verdict of a race: the history, its check, and what is recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ipclab import history
from ipclab.backends.base import SharedState
from ipclab.backends.shared import Register
from ipclab.checks import timeline, verify
from ipclab.checks.breach import Breach
from ipclab.history.format import VERSION, Header, Model
from ipclab.history.log import ProcessLog
from ipclab.host.interruptions import ending_blocked
from ipclab.trial.phases import watched
from ipclab.trial.record import Safety
from ipclab.trial.safety import Stage

BUDGET_S = 3.0
"""The budget of a search; the history of a race needs a short one, or none."""


def judge(
    stage: Stage,
    shared: SharedState,
    model: Model,
    logs: Iterable[Path],
    *,
    finding: str = "",
    counts: dict[str, int] | None = None,
) -> Safety:
    """Merge the logs into the stage's history, check it, and compare it with the discipline's declaration.

    Anomalies break nothing unless the discipline declares itself safe. The default ``finding`` is the reason
    that the check gives.
    """
    path = stage.history or stage.folder / "history.jsonl.gz"
    header = Header(
        ipclab_history=VERSION,
        model=model,
        backend=str(stage.spec.backend),
        # A process of a race releases before it acquires again.
        reentrant=False if model == "lock" else None,
        names={str(i): f"process {i}" for i in range(stage.spec.producers)},
    )
    history.merge(path, header, logs)
    whole = history.read(path)
    found = verify.check(whole, budget_s=BUDGET_S)
    broken = []
    if found.anomalies and shared.safe:
        many = ", ".join(f"{name} {count}" for name, count in found.anomalies.items())
        amount = sum(found.anomalies.values())
        broken.append(Breach(kind="race", amount=amount, text=f"declares itself safe, and: {many}"))
    drawn = timeline.draw(whole, found.counterexample) if found.counterexample else ""
    return Safety(
        model=model,
        verdict="invalid" if broken else "unknown" if found.verdict == "unknown" else "valid",
        broken=broken,
        anomalies=found.anomalies,
        counts=counts or {},
        shown=None if found.verdict == "unknown" else bool(found.anomalies),
        finding=finding or found.reason,
        counterexample=drawn,
        history=stage.history_name,
    )


@contextmanager
def set_up(stage: Stage, shared: SharedState) -> Iterator[None]:
    """Set up the shared state, yield, and tear it down whatever happens.

    The history records the first value of a register.
    """
    try:
        with ProcessLog(stage.folder / "setup.log", "setup") as log:
            if isinstance(shared, Register):
                log.invoke("write", 0)
            with watched("setup()"):
                shared.setup()
            if isinstance(shared, Register):
                log.ok()
        yield
    finally:
        with ending_blocked(), watched("teardown()"):
            shared.teardown()


def declared(shared: SharedState) -> dict[str, str | int | bool | list[str] | None]:
    """Return the declaration for the record. ``load`` is the kind of operations that race on a register."""
    found: dict[str, str | int | bool | list[str] | None] = {
        "discipline": shared.discipline,
        "safe": shared.safe,
        "reach": shared.reach,
    }
    if isinstance(shared, Register):
        found["load"] = "compare and set" if shared.compares else "read and write"
    return found
