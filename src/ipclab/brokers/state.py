"""Records of what the lab has started and not yet ended, in a private folder, so that nothing is left behind.

There is one folder per server (or compose project), with a ``record.json`` in it. ``owner`` is the lab
process for which it was started: when that process is gone, however it ended, the folder is a leftover and
``sweep()`` ends it. ``ipclab up`` leaves records without an owner, for a later run to find.

Only the user can read the folder, because the address of a private server contains its password.
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
from ipclab.brokers import engine, processes
from ipclab.brokers.kinds.base import Launch
from ipclab.brokers.processes import ProcessId
from ipclab.errors import BrokerUnavailableError
from ipclab.host import identity, needs

_RECORD = "record.json"
_NOT_IN_A_PATH = "\"'`\\$*?[]{}\n\r\t"
"""Characters with a meaning in a configuration file, a pattern or a shell script of a server."""
END_WITHIN_S = 60.0
_UNBORN = ".new-"
_UNBORN_AT_MOST_S = 600.0
"""A folder gets its record within milliseconds; one without a record for this long is of a killed lab."""


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
    kinds: tuple[BrokerKind, ...] = ()


Record = NativeRecord | ComposeRecord


def home() -> Path:
    """Return the folder of all records, made if needed: ``IPCLAB_STATE_DIR``, or one for this user.

    It is on a disk where there is one: /tmp is often in memory, where "persistent" messages would cost
    nothing. Where the usual folder of a user belongs to another one, or is open to others, it is
    ``~/.local/state/ipclab``. Raise BrokerUnavailableError where the folder cannot be made, belongs to
    another user, or has a path that servers cannot take; UsageError on a Linux without ``/proc``, where every
    process of a record would seem to be gone.
    """
    needs.require_proc()
    chosen = os.environ.get("IPCLAB_STATE_DIR")
    if chosen:
        return _make_private(Path(chosen).absolute())
    first, *others = _usual_homes()
    try:
        return _make_private(first)
    except BrokerUnavailableError:
        # Any user may make a folder of that name in a folder of all users. That must not stop the lab.
        for other in others:
            with contextlib.suppress(BrokerUnavailableError):
                return _make_private(other)
        raise


def _usual_homes() -> list[Path]:
    base = Path("/var/tmp")
    if not (base.is_dir() and os.access(base, os.W_OK | os.X_OK)):
        base = Path(tempfile.gettempdir())
    own = os.environ.get("XDG_STATE_HOME", "")
    homes = [base / f"ipclab-{os.getuid()}"]
    with contextlib.suppress(RuntimeError):
        homes.append((Path(own) if Path(own).is_absolute() else Path.home() / ".local/state") / "ipclab")
    return homes


def _make_private(folder: Path) -> Path:
    """Return this folder, made if needed. Raise BrokerUnavailableError where it cannot be used."""
    if refused := sorted(set(str(folder)) & set(_NOT_IN_A_PATH)):
        raise BrokerUnavailableError(
            f"servers cannot be configured with the path {str(folder)!r}: set IPCLAB_STATE_DIR to a folder "
            f"whose path is without {' '.join(repr(sign) for sign in refused)}"
        )
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
        # The folder may be shared on purpose, as /tmp is, and what others put there is no record of ours.
        raise BrokerUnavailableError(
            f"{folder} is open to others; set IPCLAB_STATE_DIR to a folder of your own, "
            f"or close it: chmod 700 {folder}"
        )
    return folder


def create(name: str, record: Record) -> Path:
    """Make a new folder with this record and return it; it appears whole, for a sweep in parallel."""
    base = home()
    token = secrets.token_hex(4)
    new = base / f"{_UNBORN}{name}-{token}"
    new.mkdir(mode=0o700)
    write(new, record)
    return new.rename(base / f"{name}-{token}")


def write(folder: Path, record: Record) -> None:
    """Replace the record in this folder, atomically."""
    new = folder / f".{_RECORD}"
    new.touch(mode=0o600)
    new.write_bytes(msgspec.json.encode(record))
    new.replace(folder / _RECORD)


def records() -> Iterator[tuple[Path, Record]]:
    """Yield every folder with its record; skip a folder whose record cannot be read."""
    for folder in sorted(home().iterdir()):
        if not folder.name.startswith(".") and (record := read(folder)) is not None:
            yield folder, record


def read(folder: Path) -> Record | None:
    """Return the record in a folder of the state, None where there is none that can be read."""
    with contextlib.suppress(OSError, msgspec.MsgspecError):
        found: Record = msgspec.json.decode((folder / _RECORD).read_bytes(), type=Record)
        return found
    return None


def remove(folder: Path) -> None:
    """Delete a folder of the state, whose servers have ended."""
    shutil.rmtree(folder, ignore_errors=True)


def end(folder: Path, record: Record, *, within_s: float = END_WITHIN_S) -> bool:
    """End what a record describes, delete its folder, and return whether nothing is left.

    ``within_s`` bounds the time that a Docker engine gets for it. Safe to call again. What is left keeps its
    record, for a later sweep. So does what is of another PID namespace or machine, which cannot be ended from
    here.
    """
    if is_foreign(record):
        return False
    if isinstance(record, NativeRecord):
        if not processes.end(record.processes, folder):
            return False
        remove(folder)
        # A server that was just being started may have entered the folder after the last look. It is found by
        # its deleted folder, which no other process can enter.
        if not processes.end((), folder):
            return False
    elif not engine.take_down(record.project, within_s=within_s):
        return False  # the engine does not answer
    remove(folder)
    return True


def end_folder(folder: Path, *, within_s: float = END_WITHIN_S) -> bool:
    """End what the record in this folder describes, and return whether nothing is left."""
    record = read(folder)
    if record is None:
        remove(folder)
        return True
    return end(folder, record, within_s=within_s)


def sweep() -> list[Record]:
    """End what dead labs left behind, and return the records that could be ended.

    What has no owner stays, even where it does not run: a run may have killed it to start it again. What is
    of another PID namespace or machine stays, because nobody can tell from here whether its lab still runs.
    """
    swept = []
    for folder, record in records():
        if record.owner is not None and is_left(record.owner) and end(folder, record):
            swept.append(record)
    for folder in home().glob(f"{_UNBORN}*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - folder.stat().st_mtime > _UNBORN_AT_MOST_S:
                remove(folder)
    return swept


def is_left(owner: ProcessId) -> bool:
    """Return whether this lab process is gone, for certain."""
    return not identity.is_foreign(owner) and not processes.is_alive(owner)


def is_foreign(record: Record) -> bool:
    """Return whether a record is of another PID namespace or machine."""
    known = [record.owner] if record.owner is not None else []
    known += record.processes if isinstance(record, NativeRecord) else ()
    return any(identity.is_foreign(process) for process in known)


def describe(record: Record) -> str:
    """Return a description of a record, for the user."""
    if isinstance(record, NativeRecord):
        return f"the private {record.kind}"
    return f"the compose project {record.project}"


def own() -> list[tuple[Path, Record]]:
    """Return the records of what the calling process has started for itself and not ended."""
    me = processes.this_process()
    return [(folder, record) for folder, record in records() if record.owner == me]


def is_running(record: NativeRecord) -> bool:
    """Return whether the server itself runs, which is the last of its processes."""
    return bool(record.processes) and processes.is_alive(record.processes[-1])
