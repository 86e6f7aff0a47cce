"""Ends all processes of an experiment, also those whose parent has gone: they share a session."""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil

from ipclab.errors import IpclabError

_PATIENCE_S = 10.0


def members(session: int) -> list[int]:
    """Return the pids of this session, without zombies and without the caller."""
    return [pid for pid in psutil.pids() if pid != os.getpid() and _is_member(pid, session)]


def end(session: int) -> None:
    """Kill every process of this session except the caller. Raise IpclabError where one cannot be killed.

    No experiment starts a session of its own inside it, so no process escapes. A process that starts
    meanwhile is found in the next round.
    """
    deadline = time.monotonic() + _PATIENCE_S
    while left := members(session):
        if time.monotonic() > deadline:
            raise IpclabError(f"these processes of an experiment could not be ended: {left}; kill them")
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.005)


def _is_member(pid: int, session: int) -> bool:
    try:
        return os.getsid(pid) == session and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except (OSError, psutil.Error):
        return False
