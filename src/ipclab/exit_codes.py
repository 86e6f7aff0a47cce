"""Exit codes of the program ``ipclab`` and of its child processes.

Imports nothing slow, since the program begins with it.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The exit codes. A program ended by another signal than Ctrl-C exits with ``BY_SIGNAL`` + its number."""

    SUCCESS = 0
    BROKEN = 1
    """A declared guarantee was broken; also an error with a clear cause."""
    USAGE = 2
    UNKNOWN = 3
    """A verdict is unknown; also something that cannot be measured here."""
    NO_BROKER = 4
    INTERRUPTED = 130


BY_SIGNAL = 128
"""Added to the number of the signal that ended a program, as shells do."""


class ChildExit(IntEnum):
    """What the exit code of a process that the lab started says to the lab."""

    DONE = 0
    GAVE_UP = 1
    """It raised, or its parent has gone; also how Python ends where it cannot import the main module."""
