"""Catches a process in the middle of a message, without luck, by the bytes that the system says it has read.

Over a pipe or a Unix socket a large message travels in pieces, and ``/proc/PID/io`` counts what each ``read``
returned. A reader that is stopped when that count lies between nothing and the whole message has a part of
it; its writer then blocks in the rest as soon as the pipe is full. Over TCP the proxy does this instead.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from ipclab.host.stillness import all_stopped

LEAST_SHARE = 0.05
MOST_SHARE = 0.9
ASK_S = 0.1
"""A reader stopped within these shares of the message certainly has a part of it, and not all."""


def bytes_read(pid: int) -> int:
    """Return how many bytes the process has read so far by ``read`` and similar calls.

    Raise OSError where that is unknown, or the process is gone.
    """
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise OSError(f"/proc/{pid}/io does not say what was read")


def stop_while_reading(
    before: Mapping[int, int], size_bytes: int, within_s: float, until: Callable[[], bool] = lambda: False
) -> int | None:
    """Stop (SIGSTOP) the process that is in the middle of reading ``size_bytes``; return its pid.

    ``before`` has the bytes that each process had read before the message. Return None where none was caught
    in time, or it was too late; then all of them continue. ``until`` says that nothing more can be caught,
    for example because the message has arrived; it is called from time to time. Raise OSError where a process
    is gone.
    """
    began = asked = time.monotonic()
    while (now := time.monotonic()) < began + within_s:
        if now > asked + ASK_S:
            if until():
                return None
            asked = time.monotonic()
        for pid, had in before.items():
            if bytes_read(pid) - had >= size_bytes * LEAST_SHARE:
                return pid if _stop_if(pid, had + size_bytes * MOST_SHARE) else None
    return None


def _stop_if(pid: int, read_at_most: float) -> bool:
    """Stop a process, and resume it where it has read more, or if anything is raised."""
    caught = False
    try:
        os.kill(pid, signal.SIGSTOP)
        caught = all_stopped([pid]) and bytes_read(pid) <= read_at_most
    finally:
        if not caught:
            os.kill(pid, signal.SIGCONT)
    return caught
