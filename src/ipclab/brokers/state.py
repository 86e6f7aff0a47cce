"""What the lab has started and not yet ended, kept in a private folder, so that nothing is left behind.

One folder a server (or a compose project), with a ``record.json`` in it. ``owner`` is the lab process for
which it was started: when that process is gone, however it ended, the folder is a leftover and ``sweep()``
ends it. ``ipclab up`` leaves records without an owner, for a later run to find.

The folder is readable by its user only, because the address of a private server holds its password.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ipclab.backends.base import BrokerKind
from ipclab.brokers import processes
from ipclab.brokers.processes import ProcessId
from ipclab.errors import BrokerUnavailableError

_RECORD = "record.json"
_UNBORN = ".new-"
_UNBORN_AT_MOST_S = 600.0
"""A folder gets its record within milliseconds; one without it for so long is of a lab that was killed."""


class Launch(msgspec.Struct, frozen=True):
    """How to start one process of a server: its command line, and its whole environment."""

    argv: tuple[str, ...]
    env: dict[str, str]


class NativeRecord(msgspec.Struct, frozen=True, tag="native"):
    """A private server: ``launches`` in the order of their start, the server itself last."""

    kind: BrokerKind
    url: str
    owner: ProcessId | None
    started_at_s: float
    launches: tuple[Launch, ...] = ()
    processes: tuple[ProcessId, ...] = ()
    version: str = ""


class ComposeRecord(msgspec.Struct, frozen=True, tag="compose"):
    """A compose project that a run of the lab started for itself."""

    project: str
    owner: ProcessId


Record = NativeRecord | ComposeRecord


def home() -> Path:
    """The folder of all records, made if needed: ``IPCLAB_STATE_DIR``, or one for this user.

    On a disk where there is one: /tmp is often in memory, where "persistent" messages would cost nothing.
    Raises BrokerUnavailableError where the folder cannot be made or belongs to somebody else.
    """
    chosen = os.environ.get("IPCLAB_STATE_DIR")
    if chosen:
        folder = Path(chosen).absolute()
    else:
        base = Path("/var/tmp")
        if not (base.is_dir() and os.access(base, os.W_OK | os.X_OK)):
            base = Path(tempfile.gettempdir())
        folder = base / f"ipclab-{os.getuid()}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise BrokerUnavailableError(
            f"no folder for private servers at {folder}: {error.strerror}; "
            "set IPCLAB_STATE_DIR to one that can be written"
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise BrokerUnavailableError(
            f"{folder} belongs to somebody else; set IPCLAB_STATE_DIR to a folder of your own"
        )
    if found.st_mode & 0o077:
        # It may be shared on purpose, as /tmp is, and what others put there is no record of ours.
        raise BrokerUnavailableError(
            f"{folder} is open to others; set IPCLAB_STATE_DIR to a folder of your own, "
            f"or close it: chmod 700 {folder}"
        )
    return folder


def create(name: str, record: Record) -> Path:
    """A new folder with this record in it; it appears whole, so that a sweep never finds it without."""
    base = home()
    token = secrets.token_hex(4)
    new = base / f"{_UNBORN}{name}-{token}"
    new.mkdir(mode=0o700)
    write(new, record)
    return new.rename(base / f"{name}-{token}")


def write(folder: Path, record: Record) -> None:
    """Put ``record`` in the place of the one that is there, at once."""
    new = folder / f".{_RECORD}"
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(record))
    new.replace(folder / _RECORD)


def records() -> Iterator[tuple[Path, Record]]:
    """Every folder with its record; a folder whose record cannot be read is left out."""
    for folder in sorted(home().iterdir()):
        if not folder.name.startswith("."):
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                yield folder, msgspec.json.decode((folder / _RECORD).read_bytes(), type=Record)


def remove(folder: Path) -> None:
    """Delete a folder of the state, whose servers have ended."""
    shutil.rmtree(folder, ignore_errors=True)


def end(folder: Path, record: Record) -> None:
    """End what a record stands for, and then delete its folder; again is harmless."""
    if isinstance(record, NativeRecord):
        processes.end(record.processes, folder)
    else:
        from ipclab.brokers import compose

        if not compose.take_down(record.project):
            return  # the engine does not answer: left for the next sweep
    remove(folder)


def sweep() -> int:
    """End what a lab that is gone left behind; how much there was.

    What has no owner stays, even where it does not run: a run may have killed it to start it again.
    """
    swept = 0
    for folder, record in records():
        if record.owner is not None and not processes.is_alive(record.owner):
            end(folder, record)
            swept += 1
    for folder in home().glob(f"{_UNBORN}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _UNBORN_AT_MOST_S:
                remove(folder)
    return swept


def is_running(record: NativeRecord) -> bool:
    """Whether the server itself runs, which is the last of its processes."""
    return bool(record.processes) and processes.is_alive(record.processes[-1])
