"""redis-py's retries without a proxy: the server is paused, and resumed."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection
from pathlib import Path

from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import PROGRAM, Bench
from ipclab.trial.client.child import say
from ipclab.trial.client.redis_parts import (
    DEFAULT,
    NO_RETRY,
    carried_out,
    delete,
    program_client,
    read_counter,
    told,
)
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import times

TIMEOUT_S = 0.5
"""The client's socket time-out in seconds; redis-py's default of 5 s would only make the scenario longer."""
PAUSE_S = 1.5
"""Several times the client's time-out."""


def _incr(parent: Connection, log: Path, url: str, key: str, right: bool) -> tuple[str, bool]:
    """Return what the program was told, and whether the call took longer than the client's time-out."""
    client = program_client(url, retries=not right, socket_timeout=TIMEOUT_S)
    client.ping()
    say(parent, "connected")
    parent.recv()
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("add", 1)
        began_s = time.monotonic()
        words = told(history, lambda: client.incr(key))
        return words, time.monotonic() - began_s >= TIMEOUT_S


def _increment(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("counter")
    bench.at_end(delete, bench.url, key)
    before = carried_out(bench, "incr", "incrby") or 0
    program = bench.start("program", _incr, bench.log(PROGRAM), bench.url, key, right)
    program.heard()
    with bench.paused():
        program.tell("go")
        time.sleep(PAUSE_S)
    words, timed_out = program.result()
    value, executed = read_counter(bench, key), (carried_out(bench, "incr", "incrby") or 0) - before
    finding = (
        f"with the server paused for {PAUSE_S:g} s one incr() {words}, the counter reads {value}: "
        f"the server carried it out {times(executed)}"
    )
    return Seen(finding=finding, counts={"executed": executed, "value": value}, produced=timed_out)


SCENARIOS = pair(
    "retry-paused",
    _increment,
    backend="redis",
    library="redis",
    model="counter",
    asked="one incr(), while the server is paused for longer than the client waits",
    says="2, as if nothing had happened",
    has="2: it was executed again when the server was resumed",
    default=f"{DEFAULT[:-1]}, socket_timeout={TIMEOUT_S:g})",
    right=NO_RETRY,
    needs="pause",
)
