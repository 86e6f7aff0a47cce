"""The program ``ipclab``: sets the handling of Ctrl-C before anything slow is imported."""

from __future__ import annotations

import os
import signal
from types import FrameType
from typing import NoReturn

from ipclab.exit_codes import ExitCode


def main() -> NoReturn:
    """Import the command line and run it. Until then Ctrl-C simply ends the process: nothing is started."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _leave)
    from ipclab.cli import main as command_line

    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    command_line()


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    os._exit(ExitCode.INTERRUPTED)
