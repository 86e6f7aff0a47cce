"""Derives from the stack of a hanging process what it waits in, such as ``Queue.get (read lock)``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import ipclab
from ipclab.backends import user_files
from ipclab.host import child, stacks
from ipclab.host.stacks import Frame, Mark, qualified

__all__ = ["Frame", "Place", "adapters", "name_primitive", "name_thread", "name_threads", "qualified"]
Place = Path
"""A file, or a folder with everything in it."""
IsOwn = Callable[[str], bool]
"""Whether a file is the program's own code, which only calls what a process waits in."""
_LAB = Path(ipclab.__file__).parent
"""Folders of the lab's own code; nothing in them counts as the primitive that a process waits in."""
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
_PROCESS = "multiprocessing/process.py"
_BOOTSTRAP = "_bootstrap"
"""The main function of a multiprocessing process; at its end the library waits for threads and children."""
_LAB_THREAD = Mark.of(child.leave_with)
"""The function of the lab's own thread in a worker."""


def adapters(*backends: type) -> tuple[Place, ...]:
    """Return the places of the code of these backends, which stands between the lab and the libraries.

    For a class in a package, that is the folder of its module; for a single module, that file. Bases count
    too. Such code is not what a process hangs in, but the caller of it.
    """
    found: dict[Place, None] = {}
    for backend in backends:
        for kind in backend.__mro__:
            module = inspect.getmodule(kind)
            file = getattr(module, "__file__", None)
            if module is None or file is None or _is_in(file, (_LAB,)):
                continue
            if not _is_standard(file):
                alone = not module.__package__ or user_files.holds(module.__name__)
                found[Path(file) if alone else Path(file).parent] = None
    return tuple(found)


def name_primitive(stack: str, own: Sequence[Place] = ()) -> str:
    """Return what a process waits in, from faulthandler's dump of all its threads.

    That is the call of the standard library or the client that the adapter made, and in brackets the lock or
    the innermost call in it. ``own`` is where the code of the adapter is, see ``adapters()``; the lab's own
    code is known. A feeder thread that waits for a lock is named as well, because the main thread then waits
    for that thread.
    """
    places = (_LAB, *own)
    threads = [frames for frames in stacks.threads(stack) if not _is_lab_thread(frames)]
    return name_threads(threads, lambda file: _is_in(file, places))


def name_threads(threads: Sequence[Sequence[Frame]], is_own: IsOwn) -> str:
    """Return what a process waits in, from the frames of its threads, innermost first in each."""
    named = [(stacks.is_main(frames), frames, name_thread(frames, is_own)) for frames in threads]
    main, of_main = next(((name, frames) for is_main, frames, name in named if is_main), ("", []))
    feeder = next((name for is_main, _, name in named if not is_main and "Queue._feed" in name), "")
    if feeder and "(" in feeder:
        in_own = bool(of_main) and is_own(of_main[0].file)
        return feeder if not main or "join" in main or in_own else f"{main}; {feeder}"
    return main or "unknown"


def stands_in(stack: str, mark: Mark) -> bool:
    """Return whether the main thread's innermost frame of the lab's own code is in this function."""
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


def name_thread(frames: Sequence[Frame], is_own: IsOwn) -> str:
    """Return what one thread waits in, from its frames, innermost first.

    That is the outermost call below the program's own code, which is public, and the lock in brackets.
    """
    below: list[Frame] = []
    for frame in frames:
        if is_own(frame.file) or (
            frame.function.rpartition(".")[2] == _BOOTSTRAP and frame.file.endswith(_PROCESS)
        ):
            break
        below.append(frame)
    caller = frames[len(below)] if len(below) < len(frames) else frames[-1]
    if not below:
        # Code that is not Python has no frame of its own: the methods of a lock, a system call.
        if _lock(caller):
            return f"Lock.acquire (in {_qualified(caller)})"
        called = stacks.call_at(caller.file, caller.line)
        return f"{called} (in {_qualified(caller)})" if called else _qualified(caller)
    if below[-1].file.endswith("threading.py"):
        # A thread of the library itself: its work begins above the frames of Thread.
        below = [frame for frame in below if not frame.file.endswith("threading.py")] or below
    public, innermost = below[-1], below[0]
    lock = next((found for frame in below if (found := _lock(frame))), "")
    if lock:
        return f"{_qualified(public)} ({lock})"
    return _qualified(public) if innermost is public else f"{_qualified(public)} (in {_qualified(innermost)})"


def _qualified(frame: Frame) -> str:
    """Return a name such as ``Queue.get``, with the class of the line; for our own methods, the adapter's.

    The methods of a manager's proxy have no source.
    """
    if frame.file == _GENERATED:
        return f"Manager proxy {frame.function}"
    return re.sub(r"^_(\w+)Base\b", r"\1", frame.name)


def _lock(frame: Frame) -> str:
    found = _LOCK.search(frame.source)
    return _LOCKS[found[1]] if found else ""
