"""A worker or a submitter: a program in a session of its own, whose processes the lab can strike and end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

import psutil

from ipclab.host.resources import cpu_s, descendants

_GONE_WITHIN_S = 10.0


class Session:
    """One started program. What it started is known by descent or by session, and remembered once seen."""

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], folder: Path, first: bytes = b""
    ) -> None:
        self.name = name
        self._seen: dict[tuple[int, float], psutil.Process] = {}
        with (folder / f"{name}.log").open("ab") as log:
            self._popen = subprocess.Popen(
                argv,
                env={**os.environ, **env},
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self._popen.pid
        if first:
            self.tell(first)

    def tell(self, line: bytes) -> None:
        """Write a line to the program's input; do nothing where it is gone."""
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._popen.stdin.write(line)
            self._popen.stdin.flush()

    @property
    def alive(self) -> bool:
        """Return whether the program itself runs."""
        return self._popen.poll() is None

    @property
    def processes(self) -> list[psutil.Process]:
        """Return all of its processes that run, the program itself first."""
        found = descendants(self.pid)
        with contextlib.suppress(psutil.Error):
            found.insert(0, psutil.Process(self.pid))
        for process in [*found, *_of_session(self.pid)]:
            with contextlib.suppress(psutil.Error):
                self._seen[process.pid, process.create_time()] = process
        return [process for process in self._seen.values() if _runs(process)]

    def signal(self, number: signal.Signals, pids: Sequence[int]) -> None:
        """Send a signal to these processes of the session."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def cpu_s(self) -> float:
        """Return the CPU seconds of all its processes so far, with children that were waited for."""
        total = 0.0
        for process in self.processes:
            with contextlib.suppress(psutil.Error):
                total += (cpu_s(process.pid) or 0.0) + sum(process.cpu_times()[2:4])
        return total

    def end(self) -> None:
        """Kill every process of the session and reap the program."""
        deadline = time.monotonic() + _GONE_WITHIN_S
        while (left := self.processes) and time.monotonic() < deadline:
            for process in left:
                with contextlib.suppress(psutil.Error):
                    process.kill()
            self._popen.poll()
            time.sleep(0.005)
        self._popen.wait(_GONE_WITHIN_S)
        if self._popen.stdin is not None:
            with contextlib.suppress(BrokenPipeError):
                self._popen.stdin.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


def _of_session(leader: int) -> list[psutil.Process]:
    """Return all processes of the session that this process leads."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader:
                found.append(psutil.Process(pid))
    return found


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
