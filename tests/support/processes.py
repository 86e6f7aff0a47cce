"""Which processes a test has left behind, and a process that crashes."""

from __future__ import annotations

import faulthandler
import multiprocessing.forkserver
import multiprocessing.resource_tracker
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

END_WITHIN_S = 10.0


@contextmanager
def no_process_left() -> Iterator[None]:
    """Check that every process started within the block has ended soon after it; else AssertionError.

    Servers, which have a session of their own and may be started meanwhile for all tests, do not count.
    """
    before = set(_descendants())
    yield
    deadline = time.monotonic() + END_WITHIN_S
    while left := [p for p in _descendants() if p not in before and p.pid not in _helpers()]:
        if time.monotonic() > deadline:
            raise AssertionError(f"left running: {[_describe(process) for process in left]}")
        time.sleep(0.01)


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


def _descendants() -> list[psutil.Process]:
    return [
        p for p in psutil.Process().children(recursive=True) if _is_in_our_session(p) and is_running(p.pid)
    ]


def _is_in_our_session(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == os.getsid(0)
    except ProcessLookupError:
        return False


def _helpers() -> set[int | None]:
    """Return the processes that multiprocessing keeps for as long as the interpreter runs."""
    return {
        multiprocessing.forkserver._forkserver._forkserver_pid,  # type: ignore[attr-defined]
        multiprocessing.resource_tracker._resource_tracker._pid,  # type: ignore[attr-defined]
    }


def _describe(process: psutil.Process) -> str:
    try:
        return f"{process.pid} {' '.join(process.cmdline())[:200]}"
    except psutil.Error:
        return str(process.pid)
