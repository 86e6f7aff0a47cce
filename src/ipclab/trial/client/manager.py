"""Faults of a Manager: it ends with its main process, a call is not atomic, a proxy cannot be iterated."""

from __future__ import annotations

import threading
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.managers import BaseManager
from pathlib import Path
from typing import Any

from ipclab.backends.base import Site
from ipclab.backends.manager.channels import ManagerServer
from ipclab.history.log import ProcessLog
from ipclab.host.child import end_with_starter
from ipclab.host.interruptions import sigint_blocked
from ipclab.host.start_methods import StartMethod
from ipclab.host.text import line_of
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, say
from ipclab.trial.client.moments import gone, leave_with_parent
from ipclab.trial.client.scenario import Seen, pair


def _write_late(parent: Connection, start_method: StartMethod, log: Path, shared: Any) -> None:
    """Write to a Manager's dict when the lab says so, and report the result."""
    end_with_starter(start_method)
    say(parent, "ready")
    parent.recv()
    with ProcessLog(log, OTHER) as history:
        history.invoke("write", 1)
        try:
            shared["key"] = 1
        except (OSError, EOFError) as error:
            history.fail()
            say(parent, line_of(error))
        else:
            history.ok()
            say(parent, "")


def _main(parent: Connection, site: Site, log: Path, right: bool) -> None:
    """Be a main process: start a Manager and a process that writes to a dict of it, and end.

    It ends as any program does, so Python waits for the started process only after the Manager has ended.
    """
    end_with_starter(site.start_method)
    server = ManagerServer()
    shared = server.start_manager(site).dict()
    process = site.context.Process(target=_write_late, args=(parent, site.start_method, log, shared))
    process.start()
    say(parent, server.server_pids()[0])
    if right:
        process.join()


def _start_main(parent: Connection, site: Site, log: Path, right: bool) -> None:
    """Start a main process, which must not be a child of the lab: those leave by ``os._exit()``."""
    process = site.context.Process(target=_main, args=(parent, site, log, right))
    process.start()
    process.join()


def _main_ends(bench: Bench, *, right: bool) -> Seen:
    program = bench.start("program", _start_main, bench.site, bench.log(OTHER), right, forks=True)
    heard = {program.heard(), program.heard()}
    (server,) = heard - {"ready"}
    if not right:
        bench.until(lambda: gone(server), "the Manager to end")
    program.tell("write")
    error = program.heard()
    program.result()
    ended = "ended" if not right else "waited for the other one"
    finding = f"a main process {ended}; the write of the process that it had started "
    finding += f"raised {error}" if error else "was done"
    return Seen(finding=finding, errs=bool(error))


class Tally:
    """A number in a server, which runs each call in a thread of its own."""

    def __init__(self, whole: bool) -> None:
        self._number = 0
        self._has_read, self._goes_on = threading.Event(), threading.Event()
        self._lock: Any = threading.Lock() if whole else None

    def add(self, stop: bool) -> None:
        """Add one: read, then write. With ``stop`` it waits in between until ``go_on()`` is called."""
        if self._lock is not None:
            with self._lock:
                self._add(stop)
        else:
            self._add(stop)

    def _add(self, stop: bool) -> None:
        number = self._number
        if stop:
            self._has_read.set()
            self._goes_on.wait(PATIENCE_S)
        self._number = number + 1

    def wait(self) -> bool:
        """Wait until a call has read; return False where none has in time."""
        return self._has_read.wait(PATIENCE_S)

    def go_on(self) -> None:
        """Let the call that has read write."""
        self._goes_on.set()

    def read(self) -> int:
        """Return the number."""
        return self._number


class Tallies(BaseManager):
    """Serves a ``Tally``."""


Tallies.register("tally", Tally)


def _add(parent: Connection, log: Path, process: int, tally: Any, stop: bool) -> None:
    with ProcessLog(log, process) as history:
        history.invoke("add", 1)
        tally.add(stop)
        history.ok()


def _call_not_whole(bench: Bench, *, right: bool) -> Seen:
    server = Tallies(ctx=bench.site.context)
    with sigint_blocked():
        server.start(leave_with_parent)
        bench.at_end(server.shutdown)
    tally: Any = server.tally(right)  # type: ignore[attr-defined]
    first = bench.start("program", _add, bench.log(PROGRAM), PROGRAM, tally, True)
    tally.wait()
    second = bench.start("other", _add, bench.log(OTHER), OTHER, tally, False)
    # It returns, or waits for the first one.
    second.stands()
    tally.go_on()
    first.result()
    second.result()
    with bench.server() as history:
        history.invoke("read")
        number = tally.read()
        history.ok(number)
    finding = f"two processes called add() of a registered object, which then held {number}"
    return Seen(finding=finding, counts={"value": number})


def _iterate(parent: Connection, log: Path, shared: Any, right: bool) -> str:
    """Iterate over a Manager's dict; return the name of the error, empty without one."""
    with ProcessLog(log, OTHER) as history:
        history.invoke("read")
        try:
            for key in shared.keys() if right else shared:
                history.ok(shared[key])
        except AttributeError as error:
            history.fail()
            return line_of(error)
    return ""


def _no_iteration(bench: Bench, *, right: bool) -> Seen:
    server = ManagerServer()
    bench.at_end(server.teardown)
    shared = server.start_manager(bench.site).dict()
    with ProcessLog(bench.log(PROGRAM), PROGRAM) as history:
        history.invoke("write", 1)
        shared["key"] = 1
        history.ok()
    error = bench.start("other", _iterate, bench.log(OTHER), shared, right).result()
    came = f"raised {error}" if error else "gave its key"
    return Seen(
        finding=f"a process that was given a Manager's dict went through it: that {came}", errs=bool(error)
    )


_pair = partial(pair, library="", backend="manager-dict")

SCENARIOS = (
    *_pair(
        "manager-ends-with-main",
        _main_ends,
        model="register",
        asked="a write to a Manager's dict, by a process whose parent has ended",
        says="FileNotFoundError, or ConnectionRefusedError",
        has="no server: the main process ends it before it waits for its processes",
        default="process.start(), and the end of the program",
        right="process.start(), process.join()",
    ),
    *_pair(
        "registered-call",
        _call_not_whole,
        model="counter",
        asked="one call each by two processes of an object that a BaseManager serves, which adds 1",
        says="both done",
        has="1: calls run in threads of the server, and one came between the other's read and write",
        default="BaseManager.register('tally', Tally)",
        right="BaseManager.register('tally', a Tally whose methods hold a lock of its own)",
    ),
    *_pair(
        "proxy-iteration",
        _no_iteration,
        model="register",
        asked="a loop over a Manager's dict, in a process that was given it",
        says="AttributeError: the proxy has no manager there",
        has="the dict as it should be",
        default="for key in proxy",
        right="for key in proxy.keys()",
    ),
)
