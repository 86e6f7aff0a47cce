"""Finds where a process of a scenario stands, in the stacks that faulthandler writes."""

from __future__ import annotations

from pathlib import Path

import ipclab
from ipclab.host import stacks

_OWN = Path(ipclab.__file__).parent


def place(dump: str) -> str:
    """Return where the main thread stood, according to faulthandler's dump.

    That is the library function that the lab's own code had called, and the innermost one:
    ``get() in pymemcache/client/base.py, waiting in _recv``. A call that is not in Python has no frame; then
    it is the line of the scenario: ``with LOCK in locks.py``.
    """
    frames = []
    own = ""
    for frame in stacks.main_frames(dump):
        if Path(frame.file).is_relative_to(_OWN):
            own = f"{frame.source.strip().rstrip(':')} in {Path(frame.file).name}"
            break
        frames.append(frame)
    if not frames:
        return own or stacks.NO_STACK
    where = f"{frames[-1].function}() in {stacks.short(frames[-1].file)}"
    return where if len(frames) == 1 else f"{where}, waiting in {frames[0].function}"
