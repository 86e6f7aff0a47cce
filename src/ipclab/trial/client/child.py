"""A process of a scenario: it runs one function, and where it hangs that can be told."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import re
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import ipclab
from ipclab.errors import ChannelError
from ipclab.interruptions import sigint_blocked
from ipclab.startmethod import StartMethod, context
from ipclab.trial.worker import end_with_parent

PATIENCE_S = 30.0
"""How long anything that ought to happen may take, on however slow a machine."""
_STACK_S = 5.0
_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')

Kind = Literal["said", "returned", "raised"]


class Child:
    """Runs ``function(parent, *args)``; ``parent`` is a connection to talk over.

    What the function sends is read by ``heard()``, what it returns by ``result()``. It ends with the lab, and
    ignores Ctrl-C, which is the lab's business. Start it within ``ipclab.trial.client.bench`` only, which
    ends it whatever happens. Not thread-safe.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        start_method: StartMethod,
        function: Callable[..., Any],
        args: tuple[Any, ...],
    ) -> None:
        self.name = name
        self._stack = folder / f"{name}.stack"
        chosen = context(start_method)
        self._connection, theirs = chosen.Pipe()
        self._process: BaseProcess = chosen.Process(
            target=_run, args=(theirs, self._stack, function, args), name=f"ipclab {name}", daemon=True
        )
        with sigint_blocked():
            self._process.start()
        theirs.close()

    def tell(self, value: Any) -> None:
        """Send the function something."""
        self._connection.send(value)

    def heard(self, within_s: float = PATIENCE_S) -> Any:
        """The next thing that the function sent. Raises ChannelError where nothing comes any more."""
        kind, value = self._next(within_s)
        if kind != "said":
            raise ChannelError(f"{self.name} {kind} too early: {value}")
        return value

    def result(self, within_s: float = PATIENCE_S) -> Any:
        """What the function returned. Raises ChannelError where it raised, died or took too long."""
        kind, value = self._next(within_s)
        if kind != "returned":
            raise ChannelError(f"{self.name} {kind}: {value}")
        return value

    def ended_within(self, seconds: float) -> bool:
        """Wait until there is a message from it, or it is gone, for so long at most."""
        return bool(wait([self._connection, self._process.sentinel], seconds))

    def join(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the process is gone. Raises ChannelError where it stays."""
        self._process.join(within_s)
        if self._process.exitcode is None:
            raise ChannelError(f"{self.name} did not end: {self.stuck()}")

    def stuck(self) -> str:
        """End it, and tell in which call of which library it was; see ``place``."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, signal.SIGUSR1)
        self._process.join(_STACK_S)
        return place(self.stack())

    def stack(self) -> str:
        """The Python stack that it wrote when it was ended by ``stuck()``; empty before."""
        with contextlib.suppress(FileNotFoundError):
            return self._stack.read_text()
        return ""

    def end(self) -> None:
        """Kill it if it is alive, and reap it."""
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._connection.close()

    @property
    def _pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def _next(self, within_s: float) -> tuple[Kind, Any]:
        deadline = time.monotonic() + within_s
        while True:
            gone = not self._process.is_alive()
            try:
                if self._connection.poll(0):
                    message: tuple[Kind, Any] = self._connection.recv()
                    return message
            except (EOFError, OSError):
                gone = True
            if gone:
                self._process.join(_STACK_S)
                raise ChannelError(f"{self.name} ended with exit code {self._process.exitcode}")
            if (left_s := deadline - time.monotonic()) <= 0:
                raise ChannelError(f"{self.name} did not come back within {within_s:g} s: {self.stuck()}")
            self.ended_within(left_s)


def say(parent: Connection, value: Any) -> None:
    """Within a child: send something to the lab, which ``Child.heard()`` returns."""
    parent.send(("said", value))


def place(dump: str) -> str:
    """Where the main thread stood, from what faulthandler wrote: the library's function that the lab's own
    code had called, and the innermost one (``get() in pymemcache/client/base.py, waiting in _recv``)."""
    _, found, current = dump.partition("Current thread")
    frames = []
    for frame in _FRAME.finditer((current if found else dump).partition("\n\n")[0]):
        if Path(frame["file"]).is_relative_to(Path(ipclab.__file__).parent):
            break
        frames.append(frame)
    if not frames:
        return "no stack: the process did not answer" if not dump else "the scenario itself"
    called, innermost = frames[-1], frames[0]["function"]
    where = f"{called['function']}() in {_short(called['file'])}"
    return where if len(frames) == 1 else f"{where}, waiting in {innermost}"


def _short(file: str) -> str:
    """A library's file within the library, one of Python's as in its source."""
    path, library = Path(file), Path(os.__file__).parent
    if "site-packages" in path.parts:
        return "/".join(path.parts[path.parts.index("site-packages") + 1 :])
    return f"Lib/{path.relative_to(library)}" if path.is_relative_to(library) else path.name


def _run(parent: Connection, stack: Path, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    end_with_parent()
    with stack.open("w") as file:
        # Chained to the signal's default, which ends the process: so its end says that the stack is whole.
        faulthandler.register(signal.SIGUSR1, file, all_threads=True, chain=True)
        message: tuple[Kind, Any]
        try:
            message = "returned", function(parent, *args)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lab is told
            message = "raised", f"{type(error).__name__}: {' '.join(str(error).split())}"
        with contextlib.suppress(OSError):
            parent.send(message)
        # What hangs in a library's own thread must not keep it.
        os._exit(0)
