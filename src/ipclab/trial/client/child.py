"""A process of a scenario: it runs one function, and where it hangs that can be told."""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Literal

import psutil

from ipclab.errors import ChannelError
from ipclab.host.child import end_with_parent
from ipclab.host.interruptions import die_with_parent, sigint_blocked
from ipclab.host.start_methods import StartMethod, context
from ipclab.trial.client.stack import is_whole, main_thread, place, stack_path, text

PATIENCE_S = 30.0
"""How long anything that ought to happen may take, on however slow a machine."""
HANG_S = 0.6
"""How long what is known to hang must not have come back before it is looked at."""
_BETWEEN_LOOKS_S = 0.3
_LOOKS = 20
_STACK_S = 5.0

Kind = Literal["began", "said", "returned", "raised"]


class Child:
    """Runs ``function(parent, *args)``; ``parent`` is a connection to talk over.

    What the function sends is read by ``heard()``, what it returns by ``result()``. It ends with the lab, and
    ignores Ctrl-C, which is the lab's business. With ``forks`` it may have processes of its own, which have
    to see to it that they end when it does; no thread of the lab's is in it then. Start it by
    ``ipclab.trial.client.bench.Bench.start``, which ends it whatever happens, or end it yourself. Not
    thread-safe.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        start_method: StartMethod,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        *,
        forks: bool = False,
    ) -> None:
        self.name = name
        self._stack = stack_path(folder, name)
        self._look = self._stack.with_suffix(".look")
        self._began = False
        self._returned: tuple[Any] | None = None
        chosen = context(start_method)
        self._connection, theirs = chosen.Pipe()
        self._process: BaseProcess = chosen.Process(
            target=_run,
            args=(theirs, self._stack, self._look, start_method if forks else None, function, args),
            name=f"ipclab {name}",
            daemon=not forks,
        )
        with sigint_blocked():
            self._process.start()
        theirs.close()

    def tell(self, value: Any) -> None:
        """Send the function something."""
        self._connection.send(value)

    def heard(self, within_s: float = PATIENCE_S) -> Any:
        """Return the next thing that the function sent. Raises ChannelError where nothing comes any more."""
        kind, value = self._next(within_s)
        if kind != "said":
            raise ChannelError(f"{self.name} {kind} too early: {value}")
        return value

    def result(self, within_s: float = PATIENCE_S) -> Any:
        """Return what the function returned. Raises ChannelError where it raised, died or took too long."""
        if self._returned is None:
            kind, value = self._next(within_s)
            if kind != "returned":
                raise ChannelError(f"{self.name} {kind}: {value}")
            self._returned = (value,)
        return self._returned[0]

    def ended_within(self, seconds: float) -> bool:
        """Wait until there is a message from it, or it is gone, for so long at most; the time until it has
        started does not count."""
        self._await_begin()
        return bool(wait([self._connection, self._process.sentinel], seconds))

    def stands(self, after_s: float = 0.0) -> str:
        """Wait until it stands still, and tell where; empty where it has something to say, or is gone.

        It stands still where two looks, the first one after ``after_s``, find its main thread asleep in the
        same place. It is left as it is. Raises ChannelError where it does not come to rest.
        """
        if self.ended_within(after_s):
            return ""
        for _ in range(_LOOKS):
            first = self._asleep_in()
            if self.ended_within(_BETWEEN_LOOKS_S):
                return ""
            if first and first == self._asleep_in() and not self.ended_within(0):
                return place(first)
        raise ChannelError(f"{self.name} neither came back nor stood still")

    def join(self, within_s: float = PATIENCE_S) -> None:
        """Wait until the process is gone. Raises ChannelError where it stays."""
        self._process.join(within_s)
        if self._process.exitcode is None:
            raise ChannelError(f"{self.name} did not end: {self.stuck()}")

    def hangs(self, after_s: float = HANG_S) -> str:
        """Return where it hangs, as ``stands()`` tells; it is ended then. Empty where it comes back."""
        where = self.stands(after_s)
        if where:
            self.stuck()
            if not is_whole(self.stack()):
                # To dump all threads failed, as it may where one of them runs meanwhile.
                self._stack.write_text(text(self._look))
        return where

    def stuck(self) -> str:
        """End it, and tell in which call of which library it was; see ``place``."""
        self._signal(signal.SIGUSR1)
        self._process.join(_STACK_S)
        return place(self.stack())

    def stack(self) -> str:
        """Return the Python stack that it wrote when it was ended by ``stuck()``; empty before."""
        return text(self._stack)

    def stop(self) -> None:
        """Freeze it (SIGSTOP)."""
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it by SIGKILL, at once, and wait until it is gone."""
        self._process.kill()
        self._process.join()

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

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._pid, number)

    def _asleep_in(self) -> str:
        """Return the stack of its main thread, where that sleeps; it goes on.

        Empty where it does not sleep.
        """
        if not self._is_asleep():
            return ""
        self._look.write_text("")
        self._signal(signal.SIGUSR2)
        deadline = time.monotonic() + _STACK_S
        before = ""
        while time.monotonic() < deadline:
            # Written in many pieces: it is whole where nothing has been added for a while.
            time.sleep(0.02)
            if (found := text(self._look)) and found == before:
                return main_thread(found) if self._is_asleep() else ""
            before = found
        return ""

    def _is_asleep(self) -> bool:
        try:
            return bool(psutil.Process(self._pid).status() == psutil.STATUS_SLEEPING)
        except psutil.NoSuchProcess:
            return False

    def _await_begin(self) -> None:
        if self._began:
            return
        if not wait([self._connection, self._process.sentinel], PATIENCE_S):
            raise ChannelError(f"{self.name} did not start")
        with contextlib.suppress(EOFError, OSError):
            if self._connection.poll(0):
                self._connection.recv()
        self._began = True

    def _next(self, within_s: float) -> tuple[Kind, Any]:
        self._await_begin()
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


def end_with_starter(start_method: StartMethod = "fork") -> None:
    """From now on the calling process is killed when the one that started it ends.

    It takes no thread, as ``end_with_parent()`` does: a process that is forked had better have none.
    """
    die_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    # It may have ended before. The system's parent tells, unless that is the server that forks for it.
    gone = not parent.is_alive() if start_method == "forkserver" else os.getppid() != parent.pid
    if gone:
        os._exit(1)


def hung(*children: Child, right: bool) -> dict[str, str]:
    """Return which of these hang, by name, and where; they are ended. Raises ChannelError where one died.

    What is set right is given all the time that there is to come back, so that a slow machine does not look
    like a hang; what is not is known to hang.
    """
    until = time.monotonic() + (PATIENCE_S if right else HANG_S)
    found = {child.name: child.hangs(max(until - time.monotonic(), 0.0)) for child in children}
    for child in children:
        if not found[child.name]:
            child.result()
    return {name: where for name, where in found.items() if where}


def _run(
    parent: Connection,
    stack: Path,
    look: Path,
    forks: StartMethod | None,
    function: Callable[..., Any],
    args: tuple[Any, ...],
) -> None:
    for key in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(key, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if forks is not None:
        end_with_starter(forks)
    else:
        end_with_parent()
    with stack.open("w") as file, look.open("a") as looked:
        # Chained to the signal's default, which ends the process: so its end says that the stack is whole.
        # Where a library's own threads run meanwhile, as those of a Pool do, to dump all of them may crash.
        faulthandler.register(signal.SIGUSR1, file, all_threads=forks is None, chain=True)
        faulthandler.register(signal.SIGUSR2, looked, all_threads=False)
        parent.send(("began", None))
        message: tuple[Kind, Any]
        try:
            message = "returned", function(parent, *args)
        except Exception as error:  # noqa: BLE001 - whatever it is, the lab is told
            message = "raised", f"{type(error).__name__}: {' '.join(str(error).split())}"
        with contextlib.suppress(OSError):
            parent.send(message)
        # What hangs in a library's own thread must not keep it.
        os._exit(0)
