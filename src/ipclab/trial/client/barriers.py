"""A fault of multiprocessing.Barrier: one time-out breaks it for all processes, permanently."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S
from ipclab.trial.client.scenario import Seen, pair

TIMEOUT_S = 0.05
"""The time-out of a process that waits for a process that never comes."""


def _give_up(parent: Connection, barrier: Any, right: bool) -> str:
    """Wait until the time-out. With ``right``, reset the barrier afterwards. Return the error raised."""
    try:
        barrier.wait(TIMEOUT_S)
    except threading.BrokenBarrierError as error:
        if right:
            barrier.reset()
        return type(error).__name__
    return "nothing"


def _meet(parent: Connection, log: Path, process: int, barrier: Any) -> str:
    """Meet another process at the barrier; return the name of the error, empty without one."""
    with ProcessLog(log, process) as history:
        history.invoke("write", process)
        try:
            barrier.wait(PATIENCE_S)
        except threading.BrokenBarrierError as error:
            history.fail()
            return type(error).__name__
        history.ok()
    return ""


def _broken(bench: Bench, *, right: bool) -> Seen:
    barrier: Any = bench.site.context.Barrier(2)
    told = bench.start("third", _give_up, barrier, right).result()
    both = [
        bench.start(name, _meet, bench.log(process), process, barrier)
        for name, process in (("program", PROGRAM), ("other", OTHER))
    ]
    errors = {error for child in both if (error := child.result())}
    came = f"raised {', '.join(errors)} in both" if errors else "let both go on"
    finding = f"one process waited at a barrier of 2 for {TIMEOUT_S} s, which raised {told}; "
    finding += f"then two came, and wait() {came}"
    return Seen(finding=finding, errs=bool(errors))


SCENARIOS = pair(
    "barrier-timeout",
    _broken,
    backend="value",
    library="",
    model="register",
    asked="wait() of a Barrier(2) by two processes, after another one had waited with a time-out",
    says="BrokenBarrierError to both, at once",
    has="a barrier that stays broken",
    default="barrier.wait(timeout)",
    right="barrier.wait(timeout), and barrier.reset() on BrokenBarrierError",
)
