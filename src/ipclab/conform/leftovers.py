"""Checks that a block of code leaves no process running."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from ipclab.conform.promise import BrokenPromise
from ipclab.host.surroundings import describe, running_descendants

END_WITHIN_S = 10.0


@contextmanager
def no_process_left() -> Iterator[None]:
    """Check that every process started within the block has ended soon after it; else raise BrokenPromise.

    Servers, which have a session of their own and may be started meanwhile for others, do not count.
    """
    before = set(_descendants())
    yield
    deadline = time.monotonic() + END_WITHIN_S
    while left := [process for process in _descendants() if process not in before]:
        if time.monotonic() > deadline:
            raise BrokenPromise(f"left running: {', '.join(describe(process) for process in left)}")
        time.sleep(0.01)


def _descendants() -> list[psutil.Process]:
    return [process for process in running_descendants(os.getpid()) if _is_in_our_session(process)]


def _is_in_our_session(process: psutil.Process) -> bool:
    try:
        return os.getsid(process.pid) == os.getsid(0)
    except ProcessLookupError:
        return False
