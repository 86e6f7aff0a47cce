"""A fault of multiprocessing.Event: set() waits until every process that it wakes has answered."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import OTHER, PROGRAM, THIRD, Bench
from ipclab.trial.client.child import hung, say
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import came_of


class Latch:
    """An event that is set once: a pipe with something in it, which nobody reads. It has no lock."""

    def __init__(self, reading: Connection, writing: Connection) -> None:
        self._reading = reading
        self._writing = writing

    def wait(self) -> None:
        self._reading.poll(None)

    def set(self) -> None:
        self._writing.send_bytes(b"set")


def _wait(parent: Connection, log: Path, process: int, event: Any) -> None:
    say(parent, "waits")
    with ProcessLog(log, process) as history:
        history.invoke("read")
        event.wait()
        history.ok(1)


def _set(parent: Connection, log: Path, event: Any) -> None:
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("write", 1)
        event.set()
        history.ok()


def _waiter_killed(bench: Bench, *, right: bool) -> Seen:
    event: Any = bench.site.context.Event()
    if right:
        reading, writing = bench.site.context.Pipe(duplex=False)
        bench.at_end(reading.close)
        bench.at_end(writing.close)
        event = Latch(reading, writing)
    waiters = [
        bench.start(name, _wait, bench.log(process), process, event)
        for name, process in (("other", OTHER), ("third", THIRD))
    ]
    for waiter in waiters:
        waiter.heard()
    waited = [waiter.stands() for waiter in waiters]
    killed, left = waiters
    with bench.fault("kill", "other program"):
        killed.kill()
    stuck = hung(bench.start("program", _set, bench.log(PROGRAM), event), left, right=right)
    finding = (
        f"of two processes that waited for an event one was killed; set() {came_of(stuck, 'program')}, and "
        f"wait() of the other one {came_of(stuck, 'third')}"
    )
    return Seen(finding=finding, counts={"hung": len(stuck)}, produced=all(waited), hung=stuck)


SCENARIOS = pair(
    "event-waiter-killed",
    _waiter_killed,
    backend="value",
    library="",
    model="register",
    asked="set() of a multiprocessing.Event, after one of two processes that waited for it was killed",
    says="nothing: it waits for ever, and so does the other process",
    has="an event that waits for the killed process to wake up",
    default="event.wait(), event.set()",
    right="Pipe(duplex=False): reading.poll(None), writing.send_bytes(b'set')",
)
