"""The child's side of the supervisor: signals, end with the parent, stack on demand, the outcome.

Every process that the lab starts runs ``run()``. It sends over its link::

    child   Began()                   its function is called now
    child   ...                       messages of the function itself
    child   Returned(value)           the function returned, and its work is complete
    child   Failed(reason, detail)    instead: the function raised

A process that ends without ``Returned`` or ``Failed`` was killed, or left before its function returned.
"""

from __future__ import annotations

import contextlib
import faulthandler
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import IO, Any

import msgspec

from ipclab.exit_codes import ChildExit
from ipclab.host.interruptions import ENDING, EndedBySignal, die_with_parent
from ipclab.host.link import Link
from ipclab.host.start_methods import StartMethod
from ipclab.host.text import line_of

END_SIGNAL = signal.SIGUSR1
"""Makes a child write the stacks of its threads into its ``stack_path`` and end."""
LOOK_SIGNAL = signal.SIGUSR2
"""Makes a child write the stack of its main thread into its ``look_path`` and continue."""
_open_files: list[IO[str]] = []
"""Files of stacks; they stay open until the process is gone, so that a hang in its exit is found too."""


class Began(msgspec.Struct, frozen=True):
    """The child is set up, and calls its function now."""


class Returned(msgspec.Struct, frozen=True):
    """The function returned this. It is the last message of a child."""

    value: Any = None


class Failed(msgspec.Struct, frozen=True):
    """The function raised: one line for the user, and the traceback. It is the last message of a child.

    ``leaves`` says that it raised to end the process (SystemExit, KeyboardInterrupt), which is no error of a
    call.
    """

    reason: str
    detail: str = ""
    leaves: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How a child behaves. ``folder`` gets its stacks, in files whose names begin with ``name``.

    ``keeps_signals``  signals are left as they were inherited, and the child may outlive its parent; its
                       starter must end it.
    ``forks``          the function starts processes of its own: no thread of the lab may be in the child.
    ``all_threads``    the final stack has all threads. A dump of the threads of a library while they run can
                       crash the process, so a function that uses a pool sets this to False.
    ``leaves_at_once`` the process ends when its function has returned, whatever threads still run.
    ``start_method``   how the child was started; decides how it learns that its parent is gone.
    """

    name: str
    folder: Path
    keeps_signals: bool = False
    forks: bool = False
    all_threads: bool = True
    leaves_at_once: bool = False
    start_method: StartMethod = "fork"

    @property
    def stack_path(self) -> Path:
        """Return the file into which the child writes its stack when ``END_SIGNAL`` ends it."""
        return stack_path(self.folder, self.name)

    @property
    def look_path(self) -> Path:
        """Return the file into which the child writes its stack on ``LOOK_SIGNAL``."""
        return self.folder / f"{self.name}.look"


def stack_path(folder: Path, name: str) -> Path:
    """Return the file into which the child of this name writes its stack before it is ended."""
    return folder / f"{name}.stack"


def run(link: Link, manner: Manner, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Run ``function(link, *args)`` as a child; the entry point of every supervised process.

    A function may handle signals by raising EndedBySignal. One that comes when the function has returned, or
    while its error is reported, ends the process without a traceback.
    """
    try:
        _run(link, manner, function, args)
    except EndedBySignal:
        _exit_now(ChildExit.GAVE_UP)


def _run(link: Link, manner: Manner, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if not manner.keeps_signals:
        reset_signals()
        end_with_starter(manner.start_method) if manner.forks else end_with_parent()
    _answer_with_stacks(manner)
    try:
        link.send(Began())
        link.send(Returned(function(link, *args)))
    except BaseException as error:
        with contextlib.suppress(OSError):
            leaves = not isinstance(error, Exception)
            link.send(Failed(line_of(error), traceback.format_exc(), leaves))
        if isinstance(error, SystemExit):
            # The process ends like a program that calls sys.exit(): it delivers what is buffered first.
            raise
        # A feeder thread or a client that is stuck must not keep a child that has given up.
        _exit_now(ChildExit.GAVE_UP)
    if manner.leaves_at_once:
        _exit_now(ChildExit.DONE)


def reset_signals() -> None:
    """Ignore the keys that end the lab, and end by SIGTERM and SIGHUP unless they are ignored.

    The process that started a trial ends it in good order. A forked child may have inherited handlers of the
    lab or of a backend.
    """
    for key in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(key, signal.SIG_IGN)
    for number in ENDING:
        if number not in (signal.SIGINT, signal.SIGQUIT) and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def end_with_parent() -> None:
    """End the calling process, from now on, when its parent is gone.

    Linux does this where the parent started the process itself, and it also reaches a process that a fault
    has stopped. With a fork server in between, a thread must do it. That shows in the figures: in a process
    with two threads, every system call on a file takes longer.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None
    if sys.platform == "linux":
        die_with_parent(signal.SIGKILL)
        if os.getppid() == parent.pid:
            if not parent.is_alive():
                _exit_now(ChildExit.GAVE_UP)
            return
    threading.Thread(
        target=leave_with, args=(parent.sentinel,), name="ends with the lab", daemon=True
    ).start()


def leave_with(sentinel: int) -> None:
    """End the calling process when the process of this sentinel ends; runs in a thread of the lab."""
    wait([sentinel])
    _exit_now(ChildExit.GAVE_UP)


def end_with_starter(start_method: StartMethod = "fork") -> None:
    """Let the system kill the calling process when the process that started it ends; needs no thread.

    A process that is going to fork should have no other thread.
    """
    die_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    assert parent is not None
    # The parent may have ended before. The system reports that, unless a fork server is the system's parent.
    gone = not parent.is_alive() if start_method == "forkserver" else os.getppid() != parent.pid
    if gone:
        _exit_now(ChildExit.GAVE_UP)


def forget_forkserver() -> None:
    """Let a forked process start a forkserver of its own where it needs one.

    The parent's forkserver is not its child, so it cannot check whether that one lives; and that one lives as
    long as any process holds its pipe.
    """
    from multiprocessing import forkserver

    inherited: Any = forkserver._forkserver
    if inherited._forkserver_alive_fd is not None:
        os.close(inherited._forkserver_alive_fd)
    inherited._forkserver_alive_fd = inherited._forkserver_pid = inherited._forkserver_address = None


def _answer_with_stacks(manner: Manner) -> None:
    # Opened for appending, because a look may have been requested before.
    looked = manner.look_path.open("a")
    stack = manner.stack_path.open("w")
    _open_files[:] = [looked, stack]
    # Chained to the signal's default, which ends the process: so its end proves that the stack is complete.
    faulthandler.register(END_SIGNAL, stack, all_threads=manner.all_threads, chain=True)
    faulthandler.register(LOOK_SIGNAL, looked, all_threads=False)


def _exit_now(code: ChildExit) -> None:
    os._exit(code)
