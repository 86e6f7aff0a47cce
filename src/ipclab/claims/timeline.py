"""The events of an experiment, noted by all its processes."""

from __future__ import annotations

import multiprocessing
import os
import textwrap
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

_WHAT_AT = 27
"""The column at which a line says what happened."""


class Event(msgspec.Struct, frozen=True):
    """What ``who`` (a process, or one of its threads) noted, ``at_s`` seconds into the experiment."""

    at_s: float
    who: str
    what: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """Call it with a few words to note that something happens now.

    It may be used from any thread and from any process that it is passed to (it can be pickled): a line is
    written in one piece to the end of a file, and the clock is the system's monotonic one, which processes of
    a host share. ``live`` shows each line on stdout too, broken at words where it is wider than ``columns``;
    0 does not break it.
    """

    path: Path
    zero_ns: int
    live: bool = False
    columns: int = 0

    def __call__(self, what: str) -> None:
        event = Event((time.monotonic_ns() - self.zero_ns) / 1e9, _who(), what)
        _append(self.path, msgspec.json.encode(event) + b"\n")
        if self.live:
            os.write(1, f"{broken(line(event), self.columns)}\n".encode())

    def events(self) -> list[Event]:
        """Return all events noted so far, in the order of time."""
        if not self.path.exists():
            return []
        found = [msgspec.json.decode(text, type=Event) for text in self.path.read_bytes().splitlines()]
        return sorted(found, key=lambda event: event.at_s)


def line(event: Event) -> str:
    """Return an event as a line of text."""
    return f"{event.at_s:8.3f} s  {event.who:<14} {event.what}"


def broken(text: str, columns: int) -> str:
    """Return a line of a timeline, broken at words, with the later lines below what happened."""
    if not columns or len(text) <= columns:
        return text
    indent = " " * min(_WHAT_AT, columns // 3)
    lines = textwrap.wrap(
        text, columns, subsequent_indent=indent, break_long_words=False, drop_whitespace=True
    )
    return "\n".join(lines)


def _who() -> str:
    process, thread = multiprocessing.current_process(), threading.current_thread()
    name = "main" if multiprocessing.parent_process() is None else process.name.removeprefix("ipclab ")
    return name if thread is threading.main_thread() else f"{name}/{thread.name}"


def _append(path: Path, data: bytes) -> None:
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, data)
    finally:
        os.close(file)
