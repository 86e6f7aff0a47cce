"""Tells a process that the lab watches to end, and gives it time to put back what it changed."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable

from ipclab.host import hang
from ipclab.host.supervisor import Child

END_WITHIN_S = 5.0
"""Seconds that a process which was told to end may be idle before it is killed."""
SLOW_END_AT_MOST_S = 15.0
"""Seconds that a process which was told to end may work before it is killed."""


def end_in_good_order(
    child: Child,
    wait: Callable[[Callable[[], bool], float], bool],
    progress: Callable[[], object],
    pids: Callable[[], Iterable[int]],
) -> None:
    """Send a process SIGTERM, and wait until it has ended or stands still.

    ``wait``, ``progress`` and ``pids`` are those of ``hang.outlast``; ``wait`` must answer its questions.
    """
    if not child.alive:
        return
    child.signal(signal.SIGTERM)
    hang.outlast(
        wait,
        lambda: child.ended,
        within_s=END_WITHIN_S,
        progress=progress,
        pids=pids,
        slow_at_most_s=SLOW_END_AT_MOST_S,
    )
