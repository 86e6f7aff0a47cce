"""The exit codes of the program ``ipclab``. Imports nothing slow, since the program begins with it."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes. A program ended by another signal than Ctrl-C exits with 128 + its number."""

    SUCCESS = 0
    BROKEN = 1
    """A declared guarantee was broken; also an error with a clear cause."""
    USAGE = 2
    UNKNOWN = 3
    """A verdict is unknown; also something that cannot be measured here."""
    NO_BROKER = 4
    INTERRUPTED = 130
