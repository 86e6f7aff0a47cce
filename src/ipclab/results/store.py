"""Stores results: ``results/<experiment>/<UTC time>/result.json``, and ``results/latest``.

Every file is written beside its place and moved there, so a reader finds either the old file or the new one.
A run that has not ended has a file ``PARTIAL`` in its folder, and its trials in a journal.
"""

from __future__ import annotations

import datetime
import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ipclab.errors import ResultsError, UnknownNameError
from ipclab.host.files import read_bytes
from ipclab.results import encoding, journal
from ipclab.results.reader import MOST_BYTES, parse
from ipclab.results.result import Result
from ipclab.trial.record import TrialRecord

RESULT, TABLE, PARTIAL, LATEST = "result.json", "table.md", "PARTIAL", "latest"
HISTORIES = "histories"
_PARTIAL_TEXT = (
    "This run is not over, or was interrupted. Finished trials that are not in result.json are in "
    "trials.jsonl; 'ipclab show' reads both.\n"
)
_OFFERED = 12


@dataclass(frozen=True, slots=True)
class StoredRun:
    """The folder of one run. One writer at a time."""

    folder: Path

    def save(self, result: Result) -> None:
        """Store everything so far. Raise ResultsError."""
        with _reported(self.folder):
            write_atomically(self.folder / RESULT, encoding.encode(result))
            if result.trials:
                journal.remove(self.folder)

    def append(self, number: int, record: TrialRecord, ended_utc: str) -> None:
        """Store one more trial, with index ``number``, without rewriting the earlier ones.

        Raise ResultsError.
        """
        with _reported(self.folder):
            journal.append(self.folder, journal.Entry(number=number, ended_utc=ended_utc, trial=record))

    def history(self, number: int) -> Path:
        """Return the path for the history of trial ``number``, and make its folder. Raise ResultsError."""
        with _reported(self.folder):
            (self.folder / HISTORIES).mkdir(exist_ok=True)
        return self.folder / HISTORIES / f"{number:04d}.jsonl.gz"

    def finish(self, result: Result, table_markdown: str) -> None:
        """Store the result and its table; remove ``PARTIAL`` if it is complete. Raise ResultsError."""
        self.save(result)
        with _reported(self.folder):
            write_atomically(self.folder / TABLE, table_markdown.encode())
            if result.complete:
                (self.folder / PARTIAL).unlink(missing_ok=True)


class Store:
    """The results folder. Makes nothing before ``check()`` or ``begin()``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def check(self) -> None:
        """Check, before the first trial, that results can be stored. Raise ResultsError if not."""
        with _reported(self.root):
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root) as file:
                file.write(b"ipclab")
        self._check_latest()

    def begin(self, result: Result) -> StoredRun:
        """Make the folder of a run, marked as partial, and point ``latest`` at it. Raise ResultsError."""
        self._check_latest()
        moment = datetime.datetime.fromisoformat(result.began_utc).astimezone(datetime.UTC)
        with _reported(self.root):
            run = StoredRun(_new_folder(self.root / result.experiment, f"{moment:%Y%m%dT%H%M%SZ}"))
            write_atomically(run.folder / PARTIAL, _PARTIAL_TEXT.encode())
        run.save(msgspec.structs.replace(result, complete=False))
        with _reported(self.root):
            self._point_latest(run.folder)
        return run

    def runs(self) -> list[str]:
        """Return ``<experiment>/<time>`` of every stored run, oldest first. Raise ResultsError."""
        with _reported(self.root, action="read"):
            paths = list(self.root.glob(f"*/*/{RESULT}"))
        found = [path.parent for path in paths if path.parent.parent.name != LATEST]
        return [f"{path.parent.name}/{path.name}" for path in sorted(found, key=lambda path: _age(path.name))]

    def find(self, name: str) -> Path:
        """Return the result file for a name: ``latest``, an experiment or ``<experiment>/latest`` (its
        newest), ``<experiment>/<time>``, the beginning of a time, or the path of a run.

        Raise UnknownNameError where there is none and ResultsError where there are several.
        """
        runs = self.runs()
        if name == LATEST:
            return self._latest(runs)
        experiment = name.removesuffix(f"/{LATEST}")
        if own := [run for run in runs if run.startswith(f"{experiment}/")]:
            return self.root / own[-1] / RESULT
        if name in runs:
            return self.root / name / RESULT
        begun = [run for run in runs if run.startswith(name) or run.partition("/")[2].startswith(name)]
        if len(begun) == 1:
            return self.root / begun[0] / RESULT
        if (path := _file_at(Path(name))) is not None:
            return path
        if begun:
            raise ResultsError(f"{len(begun)} runs begin with {name!r}, {_some(begun)}: give a longer name")
        if not runs:
            raise ResultsError(f"there are no results in {self.root} yet: make some with 'ipclab run'")
        raise UnknownNameError("run", name, [LATEST, *runs[-_OFFERED:]])

    def load(self, name: str) -> Result:
        """Return the result for a name (see ``find``).

        Raise ResultsError where it cannot be read.
        """
        return read(self.find(name))

    def _latest(self, runs: list[str]) -> Path:
        """Return the target of ``latest``, or the newest run where that is not usable."""
        pointer = self.root / LATEST
        with suppress(OSError, UnicodeDecodeError):
            folder = self.root / pointer.read_text(encoding="utf-8").strip() if pointer.is_file() else pointer
            if (folder / RESULT).is_file():
                return folder.resolve() / RESULT
        if not runs:
            raise ResultsError(f"there are no results in {self.root} yet: make some with 'ipclab run'")
        return self.root / max(runs, key=lambda run: _age(run.partition("/")[2])) / RESULT

    def _check_latest(self) -> None:
        """Raise ResultsError where ``latest`` is a folder, as it is after a copy that followed the link.

        No run could replace it by a link, and it may hold the only copy of a run, so the user must move it.
        """
        pointer = self.root / LATEST
        if pointer.is_dir() and not pointer.is_symlink():
            raise ResultsError(
                f"{pointer} is a folder, but each run puts a link to itself there: "
                f"rename it, or remove it if it is a copy"
            )

    def _point_latest(self, folder: Path) -> None:
        target = folder.relative_to(self.root)
        aside = self.root / f".{LATEST}-{os.getpid()}"
        try:
            aside.unlink(missing_ok=True)
            aside.symlink_to(target, target_is_directory=True)
            aside.replace(self.root / LATEST)
        except (OSError, NotImplementedError):
            with suppress(OSError):
                aside.unlink(missing_ok=True)
            write_atomically(self.root / LATEST, f"{target.as_posix()}\n".encode())


def read(path: Path) -> Result:
    """Read a ``result.json`` with the journal beside it, or the output of ``--format json``.

    Raise ResultsError, in one line, where the file cannot be read, is no result, or is of an unknown version
    of the schema.
    """
    with _reported(path, "the result", "read"):
        data = read_bytes(path, MOST_BYTES)
    result = parse(data, str(path))
    if path.name != RESULT:
        return result
    with _reported(path, "the result", "read"):
        return journal.with_journal(result, path.parent)


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file, or leave it as it was. Raise OSError."""
    handle, aside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp makes files that only their owner can read.
        Path(aside).chmod(0o644)
        Path(aside).replace(path)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _new_folder(parent: Path, name: str) -> Path:
    parent.mkdir(parents=True, exist_ok=True)
    number = 1
    while True:
        folder = parent / (name if number == 1 else f"{name}-{number}")
        try:
            folder.mkdir()
        except FileExistsError:
            number += 1
        else:
            return folder


def _file_at(path: Path) -> Path | None:
    """Return the result file that this path means: itself, or the one in this folder; None for nothing.

    What is there and is no regular file is returned too: who reads it tells what it is. Raises ResultsError
    where it cannot be told what is there, as in a loop of links.
    """
    with _reported(path, "the result", "read"):
        try:
            mode = path.stat().st_mode
            return _file_at(path / RESULT) if stat.S_ISDIR(mode) and path.name != RESULT else path
        except (FileNotFoundError, NotADirectoryError, ValueError):
            return None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                return None
            raise


def _age(folder_name: str) -> tuple[str, int]:
    """Return a sort key; the second run within a second is called ``<time>-2``."""
    moment, _, number = folder_name.partition("-")
    return moment, int(number) if number.isdecimal() else 1


def _some(runs: list[str]) -> str:
    return ", ".join(runs[:3]) + (" …" if len(runs) > 3 else "")


@contextmanager
def _reported(path: Path, what: str = "the results folder", action: str = "written") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ResultsError(f"{what} {path} cannot be {action}: {_cause(error, action)}") from error


def _cause(error: OSError, action: str) -> str:
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"{error.filename} is not a folder; choose another one"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "no permission; choose another folder"
    if error.errno == errno.EROFS:
        return "it is on a read-only file system; choose another folder"
    if error.errno == errno.EFBIG and action == "written":
        return "the file would exceed the size limit; raise the limit: ulimit -f unlimited"
    if error.errno == errno.ENOSPC:
        return "no space is left on the device"
    text = error.strerror or str(error)
    return text[:1].lower() + text[1:]
