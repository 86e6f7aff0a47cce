"""Catching a process in the middle of a message, without luck: by what the system says that it has read.

Over a pipe or a Unix socket a large message travels in pieces, and ``/proc/PID/io`` counts what each ``read``
returned. A reader that is stopped when that count lies between nothing and the whole message has a part of
it; its writer is then blocked in the rest as soon as the pipe is full. Over TCP the proxy does it instead.
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
"""Stopped within these shares of the message, it surely has a part of it and surely not all."""


def bytes_read(pid: int) -> int:
    """Return what the process has read so far by ``read`` and its kin.

    Raises OSError where that cannot be told, or it is gone.
    """
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("rchar:"):
            return int(line.split()[1])
    raise OSError(f"/proc/{pid}/io does not say what was read")


def stop_while_reading(
    before: Mapping[int, int], size_bytes: int, within_s: float, until: Callable[[], bool] = lambda: False
) -> int | None:
    """Stop (SIGSTOP) whichever of these processes is in the middle of reading ``size_bytes``; its pid.

    ``before`` says how much each had read when nothing of the message had come. None where none was caught in
    time, or it was too late; then all of them go on. ``until`` says that nothing more can be caught, such as
    that the message has come; it is asked now and then. Raises OSError where one of them is gone.
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
    """Stop a process, and let it go on again where it has read more, or whatever is raised."""
    caught = False
    try:
        os.kill(pid, signal.SIGSTOP)
        caught = all_stopped([pid]) and bytes_read(pid) <= read_at_most
    finally:
        if not caught:
            os.kill(pid, signal.SIGCONT)
    return caught
