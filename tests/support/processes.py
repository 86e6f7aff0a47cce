"""Which processes still run, and a process that crashes."""

from __future__ import annotations

import faulthandler
import os
import signal
import time

import psutil

END_WITHIN_S = 10.0


def crash() -> None:
    """End this process by a segmentation fault, without the stack that pytest's faulthandler would print."""
    faulthandler.disable()
    os.kill(os.getpid(), signal.SIGSEGV)


def is_running(pid: int) -> bool:
    """Return whether a process with this pid runs; one that waits to be reaped does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pids: set[int], timeout_s: float = END_WITHIN_S) -> set[int]:
    """Return the pids that still run when the time is over; empty as soon as none does."""
    deadline = time.monotonic() + timeout_s
    while (left := {pid for pid in pids if is_running(pid)}) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left
