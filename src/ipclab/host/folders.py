"""The temporary folders of the lab, and the clean-up of those that a killed lab left behind.

A file in each folder names its owner. The folder appears together with that file, so a sweep never finds it
without.
"""

from __future__ import annotations

import contextlib
import multiprocessing.process
import multiprocessing.util
import os
import re
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ipclab.errors import UsageError
from ipclab.host import identity, segments
from ipclab.host.identity import ProcessId
from ipclab.host.interruptions import ending_blocked

_PREFIX = "ipclab-trial-"
CLAIM_PREFIX = "ipclab-claim-"
"""How the name of the folder of a claim's experiment begins."""
_NAME = re.compile(rf"(?:{_PREFIX}|{CLAIM_PREFIX})(\d+)-\w+")
_OWNER = ".owner"
_UNBORN = ".ipclab-new-"
_UNBORN_AT_MOST_S = 600.0
_SEMAPHORES = Path("/dev/shm")
_SOCKET_PATH_AT_MOST = 107
_SOCKET_NAME = len(f"/{_PREFIX}4194304-00000000/listener-00000000")
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


class _Owner(msgspec.Struct, frozen=True):
    """The process that made a folder, and the prefix of its named semaphores and segments, if it has any."""

    process: ProcessId
    semaphores: str = ""


def trial_folder() -> AbstractContextManager[Path]:
    """Yield a new folder that only this user can read, deleted at the end. Its name has its owner's pid."""
    return _folder(_PREFIX)


def claim_folder() -> AbstractContextManager[Path]:
    """Yield a new folder for one experiment of a claim, as ``trial_folder()`` does for a trial."""
    return _folder(CLAIM_PREFIX)


@contextmanager
def _folder(prefix: str) -> Iterator[Path]:
    folder = None
    try:
        with ending_blocked():
            folder = _make(Path(tempfile.gettempdir()), prefix)
        yield folder
    finally:
        # Deleting large logs takes time, and an interruption meanwhile would leave the rest of them.
        with ending_blocked():
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)


def own_temporary_files() -> None:
    """Let multiprocessing put the sockets and named semaphores of this process where ``sweep()`` finds them.

    They last as long as the process, because a forkserver listens on one of the sockets, and are deleted at
    its end. Children inherit this. A second call does nothing. Raise UsageError where the path of every
    temporary folder is too long for a socket.
    """
    # multiprocessing has no public name for this setting, which it passes on to child processes.
    settings: dict[str, Any] = multiprocessing.process.current_process()._config  # type: ignore[attr-defined]
    if settings.get("tempdir") is not None:
        return
    with ending_blocked():
        token = secrets.token_hex(4)
        folder = _make(_folder_for_sockets(), _PREFIX, token, semaphores=f"ipclab-{token}")
        settings["tempdir"] = str(folder)
        settings["semprefix"] = f"/ipclab-{token}"
        multiprocessing.util.Finalize(
            None, shutil.rmtree, args=(str(folder),), kwargs={"ignore_errors": True}, exitpriority=-100
        )


def sweep() -> None:
    """Delete the folders, named semaphores and shared memory of this user's labs that were killed.

    Folders of running labs stay. So do those of another PID namespace, whose labs are not visible.
    """
    for base in {Path(tempfile.gettempdir()), *map(Path, _SHORT_FOLDERS)}:
        for folder in base.glob("ipclab-*-*"):
            if _NAME.fullmatch(folder.name) and _is_ours(folder) and _is_left(folder):
                _delete(folder)
        for folder in base.glob(f"{_UNBORN}*"):
            if _is_ours(folder) and time.time() - folder.stat().st_mtime > _UNBORN_AT_MOST_S:
                shutil.rmtree(folder, ignore_errors=True)


def _make(base: Path, prefix: str, token: str = "", semaphores: str = "") -> Path:
    new = Path(tempfile.mkdtemp(prefix=_UNBORN, dir=base))
    owner = _Owner(identity.this_process(), semaphores)
    (new / _OWNER).write_bytes(msgspec.json.encode(owner))
    return new.rename(base / f"{prefix}{os.getpid()}-{token or secrets.token_hex(4)}")


def _folder_for_sockets() -> Path:
    """Return the temporary folder, or a usual one where its path leaves no room for the name of a socket."""
    usual = tempfile.gettempdir()
    for folder in (usual, *_SHORT_FOLDERS):
        short = len(os.fsencode(folder)) + _SOCKET_NAME <= _SOCKET_PATH_AT_MOST
        if short and Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder)
    raise UsageError(
        f"the path of the temporary folder is too long for sockets: set TMPDIR to one shorter "
        f"than {_SOCKET_PATH_AT_MOST - _SOCKET_NAME} bytes, not {usual}"
    )


def _is_ours(folder: Path) -> bool:
    with contextlib.suppress(OSError):
        found = folder.lstat()
        return found.st_uid == os.getuid() and not folder.is_symlink()
    return False


def _is_left(folder: Path) -> bool:
    """Return whether the lab that made this folder is gone, for certain."""
    owner = _owner(folder)
    if owner is not None:
        return not identity.is_foreign(owner.process) and not identity.exists(owner.process)
    # A folder of an earlier version has only its name and its time as evidence.
    with contextlib.suppress(OSError):
        if found := _NAME.fullmatch(folder.name):
            return not _may_have_made(int(found[1]), folder.lstat().st_mtime)
    return False


def _owner(folder: Path) -> _Owner | None:
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        return msgspec.json.decode((folder / _OWNER).read_bytes(), type=_Owner)
    return None


def _delete(folder: Path) -> None:
    owner = _owner(folder)
    if owner is not None and re.fullmatch(r"ipclab-\w+", owner.semaphores):
        for semaphore in _SEMAPHORES.glob(f"sem.{owner.semaphores}-*"):
            with contextlib.suppress(OSError):
                semaphore.unlink()
        segments.sweep(segments.of_semaphores(owner.semaphores))
    shutil.rmtree(folder, ignore_errors=True)


def _may_have_made(pid: int, made_s: float) -> bool:
    """Return whether the process that now has this pid is older than the folder, so it may have made it."""
    try:
        return psutil.Process(pid).create_time() <= made_s + 1
    except psutil.Error:
        return False
