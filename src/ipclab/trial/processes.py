"""Starting workers, hearing from them, and making sure that none is left."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path

from ipclab.host.interruptions import ending_blocked, starting
from ipclab.host.start_methods import StartMethod, context
from ipclab.trial import worker
from ipclab.trial.worker import Assignment, Burst, Done, Failed, Go, Quit, Ready, Stop

STACK_WAIT_S = 5.0


@dataclass(slots=True)
class Worker:
    """A worker as its parent sees it. ``done`` and ``failure`` are filled in as it reports."""

    name: str
    role: str
    process: BaseProcess
    connection: Connection
    logs: Path
    ready: bool = False
    done: Done | None = None
    failure: str = ""
    detail: str = ""
    ended: bool = False
    reports: list[Done] = field(default_factory=list)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self.process.pid is not None
        return self.process.pid

    @property
    def settled(self) -> bool:
        """Whether it has reported its result, or never will."""
        return self.done is not None or self.ended or bool(self.failure)

    @property
    def gone(self) -> bool:
        """Whether it has ended, or given up."""
        return self.ended or bool(self.failure)

    def tell(self, order: Go | Stop | Quit | Burst) -> bool:
        """Send an order; False where the worker is gone."""
        try:
            self.connection.send(order)
        except OSError:
            return False
        return True


class Crew:
    """All workers of one trial. Use as a context manager: at its end none of them is alive."""

    def __init__(self, start_method: StartMethod) -> None:
        self._context = context(start_method)
        self.workers: list[Worker] = []

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def start(self, assignment: Assignment) -> Worker:
        """Start the worker for this assignment."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(
            target=worker.main, args=(assignment, theirs), name=f"ipclab {assignment.name}", daemon=True
        )
        with starting():
            process.start()
            member = Worker(assignment.name, assignment.role, process, ours, assignment.logs)
            self.workers.append(member)
        theirs.close()
        return member

    def listen(self, timeout_s: float, among: Sequence[Worker] | None = None) -> None:
        """Take in what workers have to say, waiting for the first of it for up to ``timeout_s``."""
        heard = [w for w in among or self.workers if not w.ended]
        by_handle: dict[object, Worker] = {}
        for member in heard:
            by_handle[member.connection] = member
            by_handle[member.process.sentinel] = member
        for handle in wait(list(by_handle), timeout_s):  # type: ignore[arg-type]
            _take_in(by_handle[handle])

    def by_role(self, *names: str) -> list[Worker]:
        """The workers that play one of these roles."""
        return [w for w in self.workers if w.role in names]

    @property
    def failures(self) -> list[Worker]:
        """The workers that gave up or died before they had reported."""
        return [w for w in self.workers if w.failure]

    def stacks(self, among: Sequence[Worker] | None = None) -> dict[str, str]:
        """End every worker that is alive and has not reported, and tell its Python stack, by its name.

        Where all have reported, those that are alive cannot close: then theirs. Or end just these.
        """
        alive = [w for w in self.workers if w.process.is_alive()]
        stuck = list(among) if among is not None else [w for w in alive if not w.settled] or alive
        for member in stuck:
            with contextlib.suppress(ProcessLookupError):
                os.kill(member.pid, signal.SIGUSR1)
        found = {}
        deadline = time.monotonic() + STACK_WAIT_S
        for member in stuck:
            member.process.join(max(deadline - time.monotonic(), 0))
            path = worker.stack_path(member.logs, member.name)
            found[member.name] = _read(path) or "no stack: the process did not answer"
        return found

    def end(self) -> None:
        """Kill what is still alive and reap all. Their logs are in files by now, so nothing is lost."""
        with ending_blocked():
            for member in self.workers:
                if member.process.is_alive():
                    member.process.kill()
            for member in self.workers:
                member.process.join()
                member.connection.close()


def _read(path: Path) -> str:
    """What is in a file; nothing where a worker has not even come to making it."""
    try:
        return path.read_text()
    except FileNotFoundError:
        return ""


def _take_in(member: Worker) -> None:
    try:
        while member.connection.poll():
            message = member.connection.recv()
            if isinstance(message, Ready):
                member.ready = True
            elif isinstance(message, Done):
                member.done = member.done or message
                member.reports.append(message)
            elif isinstance(message, Failed):
                member.failure, member.detail = message.reason, message.detail
    except (EOFError, OSError):
        pass
    if not member.process.is_alive():
        member.ended = True
        if member.done is None and not member.failure:
            member.failure = f"{member.name} {_end_of(member.process.exitcode)}"


def _end_of(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        number = signal.Signals(-exit_code)
        if number == signal.SIGBUS:
            return f"was killed by SIGBUS: {tempfile.gettempdir()} is full; make room, or set TMPDIR"
        return f"was killed by {number.name}"
    return f"ended with exit code {exit_code}"
