"""A process of an experiment that may hang: it is watched, and where it is stuck can be told."""

from __future__ import annotations

import faulthandler
import os
import re
import signal
import time
import traceback
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import msgspec
import psutil

from ipclab.claims.base import Text
from ipclab.errors import IpclabError

PATIENCE_S = 20.0
"""How long anything that ought to happen may take, on however slow a machine."""
HANG_S = 1.0
"""How long something must not have come back before it is called hung."""
_STACK_S = 3.0


class ExperimentError(IpclabError):
    """An experiment did not get to the point where it could show anything."""


class Fate(msgspec.Struct, frozen=True):
    """What became of a watched child.

    ``returned``, or it ``raised`` (``error`` says what), ``died`` (``error`` says by what), or ``hung``:
    ``stuck_in`` names the innermost frame of its main thread, and the claim's own line that led there;
    ``stack`` is the whole of it, a frame per line, innermost first.
    """

    outcome: Literal["returned", "raised", "died", "hung"]
    error: str = ""
    stuck_in: str = ""
    stack: str = ""

    @property
    def hung(self) -> bool:
        """Return whether it was still at the same place when the time was up."""
        return self.outcome == "hung"

    def text(self, returned: Text) -> Text:
        """For the evidence; ``returned`` says what it means that the function came back."""
        if self.hung:
            return Text(f"waits for ever: {self.stuck_in}", f"永远阻塞：{self.stuck_in}")
        return returned if self.outcome == "returned" else Text(self.error, self.error)


class Child:
    """A process that runs one function. Made by ``Bench.start``; ended with the bench at the latest.

    The time that a process needs to start does not count as time in which it hangs.
    """

    def __init__(self, process: BaseProcess, connection: Connection, stack: Path, function: str) -> None:
        self._process = process
        self._function = function
        self._connection = connection
        self._stack = stack
        self._began = False
        self._message: tuple[str, Any] | None = None

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """As of ``multiprocessing.Process.exitcode``."""
        return self._process.exitcode

    def result(self, within_s: float = PATIENCE_S) -> Any:
        """Return what the function returned.

        Raises ExperimentError where it raised, died or took too long.
        """
        fate = self.watch(within_s)
        if fate.outcome != "returned":
            detail = fate.error or fate.stuck_in
            raise ExperimentError(f"{self._process.name} {fate.outcome}: {detail}\n{fate.stack}")
        assert self._message is not None
        return self._message[1]

    def watch(self, for_s: float = HANG_S) -> Fate:
        """Wait for its end for up to ``for_s`` after its function was called, and tell its fate.

        It counts as hung, and is left alone, where two looks find its main thread asleep in the same place.
        """
        self._await_begin()
        for _ in range(10):
            if self._settled(for_s):
                return self._fate()
            asleep, first = self._asleep(), self._stack_now()
            if self._settled(0.2):
                return self._fate()
            asleep, second = asleep and self._asleep(), self._stack_now()
            if asleep and second and first == second:
                return Fate("hung", stuck_in=place(second), stack="\n".join(second))
        raise ExperimentError(f"{self._process.name} neither ended nor stood still")

    def kill(self) -> None:
        """End it by SIGKILL, and wait until it is gone."""
        self._process.kill()
        self._process.join(PATIENCE_S)

    def stop(self) -> None:
        """Freeze it (SIGSTOP)."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        os.kill(self.pid, signal.SIGCONT)

    def alive(self) -> bool:
        """Return whether it still runs."""
        return self._process.is_alive()

    def join(self, within_s: float = PATIENCE_S) -> int:
        """Wait until the process is gone; its exit code. Raises ExperimentError where it stays."""
        self._process.join(within_s)
        if self._process.exitcode is None:
            raise ExperimentError(f"{self._process.name} did not end: {place(self._stack_now())}")
        return self._process.exitcode

    def _await_begin(self) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not self._began and self._process.is_alive() and time.monotonic() < deadline:
            self._listen(0.1)

    def _settled(self, within_s: float) -> bool:
        deadline = time.monotonic() + within_s
        while self._message is None and self._process.is_alive():
            if (left := deadline - time.monotonic()) <= 0:
                return False
            self._listen(left)
        self._listen(0)
        return True

    def _listen(self, within_s: float) -> None:
        """Take in what the child has to say, waiting for the first of it or for the end of the process."""
        wait([self._connection, self._process.sentinel], within_s)
        try:
            while self._connection.poll():
                kind, value = self._connection.recv()
                if kind == "begins":
                    self._began = True
                else:
                    self._message = kind, value
        except (EOFError, OSError):
            # It has ended; waiting for that keeps a closed connection from making the caller spin.
            self._process.join(0.05)

    def _fate(self) -> Fate:
        if self._message is None:
            self._process.join(PATIENCE_S)
            return Fate("died", error=_end_of(self._process.exitcode))
        kind, value = self._message
        return Fate("returned") if kind == "returned" else Fate("raised", error=value)

    def _asleep(self) -> bool:
        try:
            return bool(psutil.Process(self.pid).status() != psutil.STATUS_RUNNING)
        except psutil.NoSuchProcess:
            return False

    def _stack_now(self) -> list[str]:
        """Empty where it does not answer. A function that is not in Python has no frame of its own."""
        dump = self._look()
        return frames(dump) or ([self._function] if dump else [])

    def _look(self) -> str:
        self._stack.write_text("")
        os.kill(self.pid, signal.SIGUSR1)
        deadline = time.monotonic() + _STACK_S
        while time.monotonic() < deadline:
            before = self._stack.read_text()
            time.sleep(0.02)
            if before.strip() and before == self._stack.read_text():
                return before
        return ""


def run(connection: Connection, stack: Path, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """What the process of a ``Child`` runs."""
    with stack.open("a") as file:
        # The main thread alone: to walk through the threads of a Pool while they run can end the process.
        faulthandler.register(signal.SIGUSR1, file=file, all_threads=False)
        connection.send(("begins", None))
        try:
            value = function(*args)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is what this child shows
            words = "".join(traceback.format_exception_only(error)).strip()
            connection.send(("raised", words))
        else:
            connection.send(("returned", value))


_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')


def frames(dump: str) -> list[str]:
    """Return the stack of the thread that was asked, innermost first, from what faulthandler wrote.

    A line each, such as ``Lib/multiprocessing/synchronize.py:95 __enter__``, out to the child's function.
    """
    _, found, current = dump.partition("Current thread")
    lines = []
    for frame in _FRAME.finditer((current if found else dump).partition("\n\n")[0]):
        if Path(frame["file"]) == Path(__file__):
            break
        lines.append(f"{_short(frame['file'])}:{frame['line']} {frame['function']}")
    return lines


def place(stack: Sequence[str]) -> str:
    """Return where a stack stands: its innermost frame, and the one of the claim's own that called it."""
    if not stack:
        return ""
    own = next((frame for frame in stack if "/" not in frame.partition(":")[0]), stack[0])
    return stack[0] if own is stack[0] else f"{stack[0]} ← {own}"


def _short(file: str) -> str:
    """Return a claim's own file by its name, one of Python's as in its source, any other with its folder."""
    path, library = Path(file), Path(os.__file__).parent
    if path.parent.name == "claims":
        return path.name
    if path.is_relative_to(library) and "site-packages" not in path.parts:
        return f"Lib/{path.relative_to(library)}"
    return f"{path.parent.name}/{path.name}"


def _end_of(exit_code: int | None) -> str:
    if exit_code is not None and exit_code < 0:
        return f"killed by {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"
