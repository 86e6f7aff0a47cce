"""The lab's segments of shared memory: their names, and that none is left, however a process ends.

The names begin with the token of the lab process, as those of its semaphores do: see ``host.folders``. At the
end of a trial its process unlinks what is left. A keeper does it where the process of the trial was killed,
together with the lab or alone. ``folders.sweep()`` finds what a killed keeper has left.
"""

from __future__ import annotations

import contextlib
import multiprocessing.process
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ipclab.errors import UsageError
from ipclab.exit_codes import ChildExit

FOLDER = Path("/dev/shm")
_LOOKS = 5
_BETWEEN_S = 0.2
"""A keeper looks again: until a worker has ended with its parent, it may make one more segment."""


def require() -> None:
    """Raise UsageError where the system does not show its segments of shared memory as files."""
    if not FOLDER.is_dir():
        raise UsageError(f"the codec shm needs {FOLDER}, which this system does not have: use pickle5")


def prefix() -> str:
    """Return how the names of all segments of this lab begin.

    ``folders.own_temporary_files()`` comes first, in the lab; its children inherit the prefix.
    """
    settings: dict[str, Any] = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
    return of_semaphores(str(settings["semprefix"]).lstrip("/"))


def of_semaphores(semaphores: str) -> str:
    """Return the beginning of the names of the segments of the lab whose semaphores have this prefix."""
    return f"{semaphores}-shm-"


def sweep(names_begin: str) -> int:
    """Delete the segments whose names begin so; return how many there were."""
    count = 0
    for segment in FOLDER.glob(f"{names_begin}*"):
        with contextlib.suppress(OSError):
            segment.unlink()
            count += 1
    return count


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """Delete the segments of this lab at the end of the block, and if this process is killed within it.

    The process must have one thread, because it forks.
    """
    names_begin = prefix()
    reading, writing = os.pipe()
    keeper = os.fork()
    if not keeper:
        _keep(reading, names_begin)
    try:
        os.close(reading)
        yield
    finally:
        sweep(names_begin)
        with contextlib.suppress(ProcessLookupError):
            os.kill(keeper, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(keeper, 0)
        os.close(writing)


def _keep(reading: int, names_begin: str) -> None:
    """Wait in a process of its own until nobody holds the other end of the pipe; unlink; end the process.

    Forked workers hold that end too, so they are gone by then. No other file stays open here: whoever reads
    the output of the lab must not wait for its keeper.
    """
    try:
        os.setsid()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
            signal.signal(number, signal.SIG_IGN)
        os.dup2(reading, 0)
        os.closerange(1, os.sysconf("SC_OPEN_MAX") if hasattr(os, "sysconf") else 1024)
        while os.read(0, 1):
            pass
        for _ in range(_LOOKS):
            sweep(names_begin)
            time.sleep(_BETWEEN_S)
    finally:
        os._exit(ChildExit.DONE)
