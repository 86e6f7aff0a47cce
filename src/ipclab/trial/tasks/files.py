"""The files that a trial of a task queue shares with its workers: effects, gate, submissions."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from ipclab import tasks
from ipclab.checks.tasks import Effect, Submission

SUBMISSIONS_NAME = "submissions"


class Gate:
    """Holds every task between its begin and its end while it is closed. The lock ends with this process."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / tasks.GATE_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def shut(self) -> None:
        """Hold all tasks that begin from now on."""
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def open(self) -> None:
        """Let all tasks continue."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Open the gate for good."""
        os.close(self._file)


def effects(folder: Path) -> list[Effect]:
    """Return all entries of the log of effects, in the order of their writing."""
    return [
        Effect(_kind(kind), body, int(pid), int(at_ns))
        for kind, body, pid, at_ns in _lines(folder / tasks.LOG_NAME, 4)
    ]


def submissions(folder: Path) -> list[Submission]:
    """Return all tasks whose submission was begun, in their order."""
    begun: dict[str, tuple[int, int]] = {}
    confirmed: dict[str, int] = {}
    for kind, body, first_ns, second_ns in _lines(folder / SUBMISSIONS_NAME, 4):
        if kind == "begin":
            begun[body] = int(first_ns), int(second_ns)
        elif kind == "confirmed":
            confirmed[body] = int(second_ns)
    return [Submission(body, *times, confirmed.get(body)) for body, times in begun.items()]


def refused(folder: Path) -> set[str]:
    """Return the tasks whose submission raised an error."""
    return {body for kind, body, _error, _ns in _lines(folder / SUBMISSIONS_NAME, 4) if kind == "refused"}


def _kind(word: str) -> Literal["begin", "end"]:
    return "begin" if word == "begin" else "end"


def _lines(path: Path, fields: int) -> Iterator[list[str]]:
    """Yield the fields of each whole line; a line that is being written is left for later."""
    text = path.read_text() if path.exists() else ""
    for line in text.splitlines(keepends=True):
        found = line.split()
        if line.endswith("\n") and len(found) == fields:
            yield found
