"""The only supervisor of child processes: starts, reads, examines and ends them.

A ``Child`` is a process that runs one function (see ``host.child`` for its side). Its failure is reported
with its name, its stack can be read while it lives, and it is always reaped. ``host.hang`` defines "hung".

The end of a child is taken from the process itself and not from a closed pipe: a process that the child has
started holds copies of all of the child's pipes, and may outlive it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

from ipclab.errors import ChannelError
from ipclab.exit_codes import ChildExit
from ipclab.host import stacks, stillness
from ipclab.host.child import END_SIGNAL, LOOK_SIGNAL, Began, Failed, Manner, Returned, run
from ipclab.host.interruptions import ending_blocked, starting
from ipclab.host.link import Link, local_pipe
from ipclab.host.start_methods import StartMethod, context, require_guarded_main

STACK_WAIT_S = 5.0
"""How long a process may take to write its stack."""
_WHOLE_AFTER_S = 0.02
_REAPED_WITHIN_S = 5.0
_POLL_S = 0.05
"""Pause between two checks of a process whose end no file descriptor reports (not Linux)."""


class Child:
    """A supervised process, as the process that started it sees it. Not thread-safe; not usable after a fork.

    ``hear()`` sets ``began``, ``returned``, ``failed`` and ``ended``. ``inbox`` has the messages of the
    function that nobody has taken yet.
    """

    def __init__(self, process: BaseProcess, link: Link, manner: Manner) -> None:
        assert process.pid is not None
        self.process = process
        self.link = link
        self.manner = manner
        self.pid: int = process.pid
        self.began = False
        self.returned: Returned | None = None
        self.failed: Failed | None = None
        self.ended = False
        self.inbox: deque[Any] = deque()
        self._closed = False
        self._end = _end_handle(self.pid)

    @property
    def name(self) -> str:
        """Return the child's name."""
        return self.manner.name

    @property
    def exit_code(self) -> int | None:
        """Return the exit code, like ``multiprocessing.Process.exitcode``."""
        return self.process.exitcode

    @property
    def alive(self) -> bool:
        """Return whether the process runs."""
        return self.process.is_alive()

    @property
    def fault(self) -> str:
        """Return in one line what was wrong with its end; empty while it runs or after a normal end."""
        if self.failed is not None:
            return self.failed.reason
        if not self.ended or (self.returned is not None and self.exit_code == ChildExit.DONE):
            return ""
        return self.how_it_ended()

    def how_it_ended(self) -> str:
        """Return how it ended, such as ``was killed by SIGKILL``, with a hint where there is one."""
        said = in_words(self.exit_code)
        if not self.began and self.manner.start_method != "fork" and self.exit_code == ChildExit.GAVE_UP:
            return (
                f"{said} before it began: with {self.manner.start_method} the main module is imported "
                f"again, so guard what it runs by: if __name__ == '__main__'"
            )
        return f"{said} in the middle" if self.exit_code == ChildExit.DONE else said

    def tell(self, message: object) -> bool:
        """Send a message; return False where the process is gone."""
        try:
            self.link.send(message)
        except OSError:
            return False
        return True

    def hear(self) -> None:
        """Take in its messages and whether it has ended, without waiting. No signal cuts off a message."""
        gone = not self.process.is_alive()
        with ending_blocked():
            try:
                while not self._closed and self.link.poll():
                    self._take(self.link.recv())
            except (EOFError, OSError):
                self._closed = True
        if gone:
            self.ended = True

    def handles(self) -> list[Any]:
        """Return the handles that become readable when it sends a message or ends."""
        found: list[Any] = [] if self._closed else [self.link]
        found.append(self.process.sentinel if self._end is None else self._end)
        return found

    def wait_for_end(self, within_s: float) -> bool:
        """Wait at most this long until the process has ended; return whether it has."""
        deadline = time.monotonic() + within_s
        while self.process.is_alive():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return False
            if self._end is None:
                wait([self.process.sentinel], min(left_s, _POLL_S))
            elif wait([self._end], left_s) and self.process.is_alive():
                # A fork server reports it a moment later.
                time.sleep(0.001)
        return True

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal; do nothing where it is gone."""
        if self.process.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def is_asleep(self) -> bool:
        """Return whether its main thread waits for something other than a processor."""
        return stillness.asleep(self.pid)

    def look(self) -> str:
        """Return the stack of its main thread; the process continues. Empty where it does not answer."""
        path = self.manner.look_path
        path.write_text("")
        self.signal(LOOK_SIGNAL)
        deadline = time.monotonic() + STACK_WAIT_S
        before = ""
        while time.monotonic() < deadline and self.process.is_alive():
            # The stack is written in many pieces; it is complete when nothing has been added for a while.
            time.sleep(_WHOLE_AFTER_S)
            if (found := stacks.read(path)).strip() and found == before:
                return found
            before = found
        return ""

    def look_asleep(self) -> str:
        """Return the stack of its main thread if that sleeps before and after; else an empty one."""
        found = self.look() if self.is_asleep() else ""
        return stacks.main_thread(found) if found and self.is_asleep() else ""

    def end_with_stack(self, within_s: float = STACK_WAIT_S) -> str:
        """End the process; return the stacks that it wrote before, see ``Manner.all_threads``."""
        return end_with_stacks([self], within_s)[0]

    def kill(self) -> None:
        """End the process by SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.join()

    def end(self) -> None:
        """Kill the process if it runs, reap it, and close the link. A second call does nothing."""
        reap([self])

    def _take(self, message: object) -> None:
        if isinstance(message, Began):
            self.began = True
        elif isinstance(message, Returned):
            self.returned = message
        elif isinstance(message, Failed):
            self.failed = message
        else:
            self.inbox.append(message)

    def _close_handles(self) -> None:
        self._closed = True
        self.link.close()
        if self._end is not None:
            os.close(self._end)
            self._end = None


def start(
    start_method: StartMethod,
    manner: Manner,
    function: Callable[..., Any],
    args: tuple[Any, ...] = (),
    *,
    entered: Callable[[Child], object] = lambda _: None,
) -> Child:
    """Start a process that runs ``function(link, *args)`` and return it.

    ``entered(child)`` is called before any signal can end the caller, so that the code that ends the children
    knows this one. Raise ChannelError where the process cannot be started, for example because with spawn or
    forkserver the arguments cannot be pickled.
    """
    require_guarded_main()
    chosen = context(start_method)
    ours, theirs = local_pipe(chosen)
    process: BaseProcess = chosen.Process(
        target=run, args=(theirs, manner, function, args), name=f"ipclab {manner.name}"
    )
    try:
        with contextlib.nullcontext() if manner.keeps_signals else starting():
            process.start()
            child = Child(process, ours, manner)
            entered(child)
    except Exception as error:
        ours.close()
        if start_method == "fork" or isinstance(error, OSError):
            raise
        raise ChannelError(
            f"{manner.name} cannot be started by {start_method}: its arguments cannot be pickled: {error}"
        ) from error
    finally:
        theirs.close()
    return child


def listen(children: Iterable[Child], within_s: float) -> None:
    """Take in the messages of these children; wait up to ``within_s`` for the first message or end."""
    heard = [child for child in children if not child.ended]
    by_handle = {handle: child for child in heard for handle in child.handles()}
    if any(child._end is None for child in heard):
        within_s = min(within_s, _POLL_S)
    for handle in wait(list(by_handle), within_s):
        by_handle[handle].hear()
    for child in heard:
        if child._end is None and not child.process.is_alive():
            child.hear()


def end_with_stacks(children: Sequence[Child], within_s: float = STACK_WAIT_S) -> list[str]:
    """End these processes; return the stacks that each wrote before, empty where it did not answer."""
    for child in children:
        child.signal(END_SIGNAL)
    deadline = time.monotonic() + within_s
    found = []
    for child in children:
        child.wait_for_end(max(deadline - time.monotonic(), 0))
        found.append(stacks.read(child.manner.stack_path))
    return found


def reap(children: Sequence[Child]) -> None:
    """Kill those that run, reap all, and close their links; no signal interrupts this."""
    with ending_blocked():
        for child in children:
            if child.process.is_alive():
                child.process.kill()
        for child in children:
            child.process.join()
            child.ended = True
            child._close_handles()


def in_words(exit_code: int | None) -> str:
    """Return an exit code in words: ``was killed by SIGSEGV``, ``ended with exit code 7``."""
    if exit_code is not None and exit_code < 0:
        with contextlib.suppress(ValueError):
            number = signal.Signals(-exit_code)
            if number == signal.SIGBUS:
                return f"was killed by SIGBUS: {tempfile.gettempdir()} is full; make room, or set TMPDIR"
            return f"was killed by {number.name}"
    return f"ended with exit code {exit_code}"


def _end_handle(pid: int) -> int | None:
    """Return a file descriptor that becomes readable when the process ends; None where there is none."""
    if hasattr(os, "pidfd_open"):
        with contextlib.suppress(OSError):
            return os.pidfd_open(pid)
    return None
