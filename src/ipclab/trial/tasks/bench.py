"""The processes of one trial of a task queue: they are started, watched, started again, and always ended."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import msgspec

from ipclab.backends.tasks.base import TaskQueue
from ipclab.brokers.base import Broker
from ipclab.checks.tasks import Effect, Submission
from ipclab.errors import ChannelError
from ipclab.host.text import line_of
from ipclab.tasks import FOLDER_VARIABLE
from ipclab.trial.safety import Stage
from ipclab.trial.tasks import files, guard
from ipclab.trial.tasks.session import Session
from ipclab.trial.tasks.submit import READY, Order, packed

PATIENCE_S = 30.0
"""How long a program may take to start and to do its first task."""
_POLL_S = 0.02
_SHOWN_LINES = 3


class Bench:
    """The submitter, the workers, the gate, and what they have logged so far. Use it as a context manager."""

    def __init__(self, stage: Stage, queue: TaskQueue) -> None:
        self.queue = queue
        self.folder: Path = stage.folder
        self.broker: Broker | None = stage.broker
        self.spec = stage.spec
        self.restarts = 0
        self.gate = files.Gate(self.folder)
        self.sessions: list[Session] = []
        self.submitter: Session
        self._env = {FOLDER_VARIABLE: str(self.folder)}
        self._guard = subprocess.Popen(
            [sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE, start_new_session=True
        )
        self._guarded: set[int] = set()

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *_: object) -> None:
        self.gate.close()
        self.end_sessions()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()

    def start_submitter(self) -> Session:
        """Start the program that submits, and wait until it is connected. Raise ChannelError otherwise."""
        argv = [sys.executable, "-m", "ipclab.trial.tasks.submit", str(self.folder)]
        first = packed(self.queue.name, dict(self.queue.chosen), self.queue.site)
        before = self._many_ready()
        self.submitter = self._start("submitter", argv, self._env, first)
        self.until(
            lambda: self._many_ready() > before or not self.submitter.alive, "the submitter to connect"
        )
        self._require(self.submitter)
        return self.submitter

    def start_worker(self) -> Session:
        """Start one worker of the framework; of a pool, return its submitter."""
        if self.queue.in_process:
            return self.submitter
        launch = self.queue.worker(len(self.sessions))
        return self._start("worker", launch.argv, {**self._env, **launch.env}, b"")

    def restart(self, ended: Session) -> Session:
        """Start a program again, as a supervisor does, and count that."""
        self.restarts += 1
        return self.start_submitter() if ended is self.submitter else self.start_worker()

    def submit(self, bodies: Iterable[str], rate_per_s: float = 0.0) -> None:
        """Order the submitter to submit these tasks; return at once."""
        self.submitter.tell(msgspec.json.encode(Order(list(bodies), rate_per_s)) + b"\n")

    def effects(self) -> list[Effect]:
        """Return the log of effects so far."""
        return files.effects(self.folder)

    def submissions(self) -> list[Submission]:
        """Return all submissions so far."""
        return files.submissions(self.folder)

    def ended(self, bodies: Iterable[str]) -> bool:
        """Return whether all of these tasks have ended at least once."""
        return set(bodies) <= {one.body for one in self.effects() if one.kind == "end"}

    def answered(self, bodies: Iterable[str]) -> bool:
        """Return whether each of these submissions has returned or raised."""
        wanted = set(bodies)
        confirmed = {one.body for one in self.submissions() if one.confirmed_ns is not None}
        left = wanted - confirmed
        return left <= files.refused(self.folder)

    def outlast(self, until: Callable[[], bool], within_s: float) -> bool:
        """Wait until the condition holds, for this long at most; return whether it does."""
        deadline = time.monotonic() + within_s
        while not until():
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds. Raise ChannelError, naming ``what``, where it does not in time."""
        if not self.outlast(condition, PATIENCE_S):
            raise ChannelError(f"gave up after waiting {PATIENCE_S:g} s for {what}{self._said()}")

    def end_sessions(self) -> None:
        """End every process of every session."""
        for session in self.sessions:
            session.end()

    def _start(self, name: str, argv: Iterable[str], env: dict[str, str], first: bytes) -> Session:
        session = Session(f"{name}-{len(self.sessions)}", list(argv), env, self.folder, first)
        self.sessions.append(session)
        self._watch(session.pid)
        return session

    def watch(self, session: Session) -> None:
        """Make the guard end what this program started in other sessions, such as the process of a job."""
        for process in session.processes:
            with contextlib.suppress(ProcessLookupError):
                self._watch(os.getsid(process.pid))

    def _watch(self, number: int) -> None:
        if number not in self._guarded:
            self._guarded.add(number)
            assert self._guard.stdin is not None
            self._guard.stdin.write(f"{number}\n".encode())
            self._guard.stdin.flush()

    def _require(self, session: Session) -> None:
        if not session.alive:
            raise ChannelError(f"the {session.name} ended{self._said()}")

    def _many_ready(self) -> int:
        path = self.folder / files.SUBMISSIONS_NAME
        return path.read_text().count(f"{READY}\n") if path.exists() else 0

    def _said(self) -> str:
        """Return the last lines that the programs wrote, in one line."""
        lines: list[str] = []
        for session in self.sessions:
            with contextlib.suppress(OSError):
                text = (self.folder / f"{session.name}.log").read_text(errors="replace")
                lines += [f"{session.name}: {line}" for line in text.split("\n") if line.strip()][
                    -_SHOWN_LINES:
                ]
        return line_of(ChannelError("; " + " | ".join(lines))) if lines else ""
