"""What every run needs of a machine, checked before anything is started.

Each result is one line that says what is missing and what to do.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
from pathlib import Path

from ipclab.errors import UsageError

_OWN_STAT = Path("/proc/self/stat")


def require() -> None:
    """Raise UsageError with the first thing that every run needs and that this machine lacks."""
    for lack in lacks():
        raise UsageError(lack)


def require_proc() -> None:
    """Raise UsageError where this is a Linux without ``/proc``, on which no process can be identified."""
    if lack := _no_proc():
        raise UsageError(lack)


def lacks() -> list[str]:
    """Return what every run needs and this machine lacks, each in a line; empty where runs are possible."""
    return [lack for lack in (_no_proc(), _no_temporary_files(), _no_semaphores()) if lack]


def _no_proc() -> str:
    if sys.platform != "linux" or _OWN_STAT.exists():
        return ""
    return "this machine has no /proc, which identifies processes: mount it (mount -t proc proc /proc)"


def _no_temporary_files() -> str:
    try:
        with tempfile.TemporaryFile() as file:
            file.write(b"\0")
    except OSError as error:
        return f"no temporary file can be written ({error.strerror}): set TMPDIR to a writable folder"
    return ""


def _no_semaphores() -> str:
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    try:
        # Use the context of fork: another method starts a helper process for a lock.
        multiprocessing.get_context(method).Lock()
    except (ImportError, OSError) as error:
        reason = getattr(error, "strerror", None) or error
        return f"this machine has no semaphores ({reason}): make /dev/shm a writable folder"
    return ""
