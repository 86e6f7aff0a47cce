"""Which runs use a server of ``ipclab up``: many at a time, or one that breaks it or changes its settings.

A lease is a lock on a file in the state folder. It ends with the process that took it, however that ended.
Runs of another user, or with another state folder, are not visible.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path
from typing import Self

from ipclab.brokers import state

_PREFIX = ".lease-"
_held: set[int] = set()


class Lease:
    """A lease on one server, for the process that took it; it does not extend to a forked child."""

    def __init__(self, path: Path, handle: int) -> None:
        self._path = path
        self._handle = handle
        self._pid = os.getpid()
        _held.add(handle)

    @classmethod
    def take(cls, server: str, *, exclusive: bool) -> Self | None:
        """Return a lease on the server of this name, None where the leases of other runs do not allow it."""
        path = state.home() / f"{_PREFIX}{server}"
        how = (fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH) | fcntl.LOCK_NB
        while True:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(handle, how)
                if _still_has_name(path, handle):
                    return cls(path, handle)
            except BlockingIOError:
                os.close(handle)
                return None
            except BaseException:
                os.close(handle)
                raise
            os.close(handle)

    def release(self) -> None:
        """Release the lease. Safe to call again. The last release deletes the file."""
        if self._handle not in _held or os.getpid() != self._pid:
            return
        with contextlib.suppress(BlockingIOError, FileNotFoundError):
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path.unlink()
        _held.discard(self._handle)
        os.close(self._handle)


def _still_has_name(path: Path, handle: int) -> bool:
    """Return whether the locked file still has this name: the last earlier lease may have deleted it."""
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(handle))
    return False


def _close_inherited() -> None:
    """Close the parent's files in a forked child, which would otherwise prolong the parent's leases."""
    for handle in _held:
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_close_inherited)
