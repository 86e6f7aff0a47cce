"""Finds where a process of a scenario stands, in the stacks that faulthandler writes."""

from __future__ import annotations

from multiprocessing.process import BaseProcess
from pathlib import Path

import ipclab
from ipclab.host import stacks
from ipclab.host.stacks import Mark

_OWN = Path(ipclab.__file__).parent
_STARTS = (Mark.of(BaseProcess.run), Mark.of(BaseProcess._bootstrap))  # type: ignore[attr-defined]
"""What begins a process of multiprocessing. Below it, a forked process has the frames of its parent."""


def place(dump: str) -> str:
    """Return where the main thread stood, according to faulthandler's dump.

    That is the library function that the lab's own code had called, and the innermost one:
    ``get() in pymemcache/client/base.py, waiting in _recv``. A call that is not in Python has no frame; then
    it is the line of the scenario: ``with LOCK in locks.py``. In a process that a library started, it is the
    outermost function of that process: the calls of its parent at the fork say nothing about it.
    """
    frames = []
    own = ""
    for frame in stacks.main_frames(dump):
        if Path(frame.file).is_relative_to(_OWN):
            own = f"{frame.source.strip().rstrip(':')} in {Path(frame.file).name}"
            break
        if any(start.fits(frame) for start in _STARTS):
            break
        frames.append(frame)
    if not frames:
        return own or stacks.NO_STACK
    where = f"{frames[-1].function}() in {stacks.short(frames[-1].file)}"
    return where if len(frames) == 1 else f"{where}, waiting in {frames[0].function}"
