"""The trials of a run that has not ended: one line each, appended as each is finished.

Writing the whole result after every trial would write data with the square of their number. A line that is
cut off, by a kill or a full disk, is the last one, and is skipped.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ipclab.host.files import read_bytes
from ipclab.results import encoding
from ipclab.results.reader import MOST_BYTES, escaped_texts
from ipclab.results.result import Result
from ipclab.trial.record import TrialRecord

JOURNAL = "trials.jsonl"


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A finished trial: its index among the trials of the run, when it was stored, and its record."""

    number: int
    ended_utc: str
    trial: TrialRecord


def append(folder: Path, entry: Entry) -> None:
    """Add a trial to the journal of the run in this folder. Raise OSError."""
    with (folder / JOURNAL).open("ab", buffering=0) as file:
        file.write(encoding.encode(entry) + b"\n")


def remove(folder: Path) -> None:
    """Delete the journal, whose trials are all in the result by now. Raise OSError."""
    (folder / JOURNAL).unlink(missing_ok=True)


def with_journal(result: Result, folder: Path) -> Result:
    """Return a result with the trials that are only in the journal of its folder.

    Raise OSError, also where the journal is no regular file, and ResultsError for a text that is too long.
    """
    try:
        lines = read_bytes(folder / JOURNAL, MOST_BYTES).split(b"\n")
    except FileNotFoundError:
        return result
    trials, ended_utc = list(result.trials), result.ended_utc
    for line in lines:
        try:
            entry = msgspec.convert(
                escaped_texts(msgspec.to_builtins(msgspec.json.decode(line, type=Entry)), JOURNAL), Entry
            )
        except (msgspec.MsgspecError, RecursionError):
            break
        if entry.number == len(trials):
            trials.append(entry.trial)
            ended_utc = entry.ended_utc
    return msgspec.structs.replace(result, trials=trials, ended_utc=ended_utc)
