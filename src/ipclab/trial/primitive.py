"""From the stack of a process that hangs to the name of what it waits in: ``Queue.get (read lock)``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

import ipclab
from ipclab.host import child, stacks
from ipclab.host.stacks import Frame, Mark, qualified

__all__ = ["Frame", "Place", "adapters", "primitive", "qualified"]
Place = Path
"""A file, or a folder with all that is in it."""
_LAB = Path(ipclab.__file__).parent
"""Everything in it is the lab's own code and no library that anybody waits in."""
_LOCKS = {
    "_rlock": "read lock",
    "rlock": "read lock",
    "_wlock": "write lock",
    "wacquire": "write lock",
    "_acquire": "lock",
    "_notempty": "condition",
    "_cond": "condition",
}
_LOCK = re.compile(r"\b(" + "|".join(map(re.escape, sorted(_LOCKS, key=len, reverse=True))) + r")\b")
_GENERATED = "<string>"
"""The file of the methods that ``multiprocessing.managers`` generates for its proxies."""
_BOOTSTRAP = Mark.of(BaseProcess._bootstrap)  # type: ignore[attr-defined]
"""What runs a process of multiprocessing; below it at its end, the library waits for threads and children."""
_LAB_THREAD = Mark.of(child.leave_with)
"""What the lab's own thread in a worker does."""


def adapters(*backends: type) -> tuple[Place, ...]:
    """Return where the code of these backends is that stands between the lab and the libraries.

    Of a class that is in a package, the folder of its module; of a module by itself, that file. Bases count
    too. What is in there is not what a process hangs in, but who called it.
    """
    found: dict[Place, None] = {}
    for backend in backends:
        for kind in backend.__mro__:
            module = inspect.getmodule(kind)
            file = getattr(module, "__file__", None)
            if module is None or file is None or _is_in(file, (_LAB,)):
                continue
            if not _is_standard(file):
                found[Path(file).parent if module.__package__ else Path(file)] = None
    return tuple(found)


def primitive(stack: str, own: Sequence[Place] = ()) -> str:
    """Return what a process waits in, from what faulthandler wrote about all its threads.

    The call of the standard library or the client that the adapter made, and in brackets the lock or the
    innermost call where it stands. ``own`` is where the code of the adapter is, see ``adapters()``; the lab's
    own code is known. A feeder thread that waits for a lock is told as well, since that is then what the main
    thread waits for.
    """
    places = (_LAB, *own)
    threads = [frames for frames in stacks.threads(stack) if not _is_lab_thread(frames)]
    named = [(stacks.is_main(frames), frames, _name(frames, places)) for frames in threads]
    main, of_main = next(((name, frames) for is_main, frames, name in named if is_main), ("", []))
    feeder = next((name for is_main, _, name in named if not is_main and "Queue._feed" in name), "")
    if feeder and "(" in feeder:
        in_lab = bool(of_main) and _is_in(of_main[0].file, places)
        return feeder if not main or "join" in main or in_lab else f"{main}; {feeder}"
    return main or "unknown"


def stands_in(stack: str, mark: Mark) -> bool:
    """Return whether the innermost frame of the lab's own code in the main thread is this function's."""
    frames = stacks.main_frames(stack)
    innermost = next((frame for frame in frames if _is_in(frame.file, (_LAB,))), None)
    return innermost is not None and innermost is frames[0] and mark.fits(innermost)


def _is_in(file: str, places: Sequence[Place]) -> bool:
    path = Path(file)
    return any(path == place or place in path.parents for place in places)


def _is_standard(file: str) -> bool:
    return stacks.short(file).startswith("Lib/")


def _is_lab_thread(frames: Sequence[Frame]) -> bool:
    return any(_LAB_THREAD.fits(frame) for frame in frames)


def _name(frames: Sequence[Frame], own: Sequence[Place]) -> str:
    """Innermost first. The public call is the outermost one below the code of the lab and of the adapter."""
    below: list[Frame] = []
    for frame in frames:
        if _is_in(frame.file, own) or _BOOTSTRAP.fits(frame):
            break
        below.append(frame)
    caller = frames[len(below)] if len(below) < len(frames) else frames[-1]
    if not below:
        # What is not written in Python has no frame of its own: a lock's methods, a system call.
        if _lock(caller):
            return f"Lock.acquire (in {_qualified(caller)})"
        called = stacks.call_at(caller.file, caller.line)
        return f"{called} (in {_qualified(caller)})" if called else _qualified(caller)
    if below[-1].file.endswith("threading.py"):
        # A thread of the library's own: its work begins above the frames of Thread.
        below = [frame for frame in below if not frame.file.endswith("threading.py")] or below
    public, innermost = below[-1], below[0]
    lock = next((found for frame in below if (found := _lock(frame))), "")
    if lock:
        return f"{_qualified(public)} ({lock})"
    return _qualified(public) if innermost is public else f"{_qualified(public)} (in {_qualified(innermost)})"


def _qualified(frame: Frame) -> str:
    """Return ``Queue.get``: with the class that the line is in; of a method of ours, that of the adapter.

    A method of a manager's proxy has no source.
    """
    if frame.file == _GENERATED:
        return f"Manager proxy {frame.function}"
    return re.sub(r"^_(\w+)Base\b", r"\1", frame.name)


def _lock(frame: Frame) -> str:
    found = _LOCK.search(frame.source)
    return _LOCKS[found[1]] if found else ""
