"""Where a process of a scenario stands, from the stacks that faulthandler writes."""

from __future__ import annotations

import contextlib
import linecache
import os
import re
from pathlib import Path

import ipclab

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')


def stack_path(folder: Path, name: str) -> Path:
    """Return the file into which a process of this name writes its stack when it is ended by ``stuck()``."""
    return folder / f"{name}.stack"


def place(dump: str) -> str:
    """Return where the main thread stood, from what faulthandler wrote: the library's function that the
    lab's own code had called, and the innermost one (``get() in pymemcache/client/base.py, waiting in
    _recv``).
    A call that is not in Python has no frame; then it is the scenario's line (``with LOCK in locks.py``)."""
    frames = []
    own = ""
    for frame in _FRAME.finditer(main_thread(dump)):
        if Path(frame["file"]).is_relative_to(Path(ipclab.__file__).parent):
            line = linecache.getline(frame["file"], int(frame["line"])).strip().rstrip(":")
            own = f"{line} in {Path(frame['file']).name}"
            break
        frames.append(frame)
    if not frames:
        return own or "no stack: the process did not answer"
    called, innermost = frames[-1], frames[0]["function"]
    where = f"{called['function']}() in {_short(called['file'])}"
    return where if len(frames) == 1 else f"{where}, waiting in {innermost}"


def main_thread(dump: str) -> str:
    """Return the part of the thread that was asked, which is the main one."""
    _, found, current = dump.partition("Current thread")
    return (current if found else dump).partition("\n\n")[0]


def is_whole(dump: str) -> bool:
    """Return whether a dump has the main thread, which comes last where all are dumped."""
    return "Current thread" in dump or dump.startswith("Stack ")


def text(path: Path) -> str:
    """Return what the file says; empty where it is not there."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text()
    return ""


def _short(file: str) -> str:
    """Return a library's file within the library, one of Python's as in its source."""
    path, library = Path(file), Path(os.__file__).parent
    if "site-packages" in path.parts:
        return "/".join(path.parts[path.parts.index("site-packages") + 1 :])
    return f"Lib/{path.relative_to(library)}" if path.is_relative_to(library) else path.name
