"""States of another process that a scenario waits for: asleep, stopped, or done with what a pipe held."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import termios
import threading
from multiprocessing.connection import Connection
from multiprocessing.process import parent_process
from pathlib import Path

import psutil


def sleeps(pid: int) -> bool:
    """Return whether the process sleeps until something happens."""
    return _status(pid) == psutil.STATUS_SLEEPING


def stops(pid: int) -> bool:
    """Return whether the process is stopped by a signal."""
    return _status(pid) == psutil.STATUS_STOPPED


def gone(pid: int) -> bool:
    """Return whether the process has ended, reaped or not."""
    return _status(pid) in ("", psutil.STATUS_ZOMBIE)


def unread(reading: Connection) -> int:
    """Return how many bytes a pipe holds."""
    count = array.array("i", [0])
    fcntl.ioctl(reading.fileno(), termios.FIONREAD, count)
    return count[0]


def leave_with_parent() -> None:
    """End the calling process, from now on, when its parent has ended in whatever way; takes a thread."""
    parent = parent_process()
    assert parent is not None

    def leave() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=leave, daemon=True).start()


def errors_to(path: Path) -> None:
    """Redirect stderr of this process, and of the processes that it starts, to a file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(file, 2)
    os.close(file)
    # Python's own stderr may be another one, where a caller captures it.
    contextlib.redirect_stderr(os.fdopen(2, "w", buffering=1, closefd=False)).__enter__()


def _status(pid: int) -> str:
    """Return the state of the process; empty where there is no such process."""
    try:
        return str(psutil.Process(pid).status())
    except psutil.NoSuchProcess:
        return ""
