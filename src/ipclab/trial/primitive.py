"""From the stack of a process that hangs to the name of what it waits in: ``Queue.get (read lock)``."""

from __future__ import annotations

import ast
import functools
import linecache
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')
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
_OURS = re.compile(r"[/\\]ipclab[/\\](?:trial|backends)[/\\]")
_GENERATED = "<string>"
"""The file of the methods that ``multiprocessing.managers`` generates for its proxies."""
_IDLE = "watch"
"""The function of the lab's own thread in every worker: see ``worker.end_with_parent``."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack."""

    file: str
    line: int
    function: str

    @property
    def qualified(self) -> str:
        """``Queue.get``: with the class that the line is in; of a method of ours, that of the adapter.

        A method of a manager's proxy has no source.
        """
        if self.file == _GENERATED:
            return f"Manager proxy {self.function}"
        name = qualified(self.file, self.line) or self.function
        return re.sub(r"^_(\w+)Base\b", r"\1", name)

    @property
    def source(self) -> str:
        """The line itself."""
        return linecache.getline(self.file, self.line)


def primitive(stack: str) -> str:
    """What a process waits in, from what faulthandler wrote about all its threads.

    The call of the standard library or the client that the lab's own code made, and in brackets the lock or
    the innermost call where it stands. A feeder thread that waits for a lock is told as well, since that is
    then what the main thread waits for.
    """
    threads = [frames for text in stack.split("\n\n") if (frames := _frames(text))]
    named = [(_is_main(frames), _name(frames)) for frames in threads if not _is_lab_thread(frames)]
    main = next((name for is_main, name in named if is_main), "")
    feeder = next((name for is_main, name in named if not is_main and "Queue._feed" in name), "")
    if feeder and "(" in feeder:
        return feeder if not main or "join" in main or "trial" in main else f"{main}; {feeder}"
    return main or "unknown"


def _frames(text: str) -> list[Frame]:
    return [Frame(f["file"], int(f["line"]), f["function"]) for f in _FRAME.finditer(text)]


def _is_main(frames: Sequence[Frame]) -> bool:
    """The main thread's outermost frame is the program's, a thread's is ``Thread._bootstrap``."""
    return frames[-1].function != "_bootstrap" or not frames[-1].file.endswith("threading.py")


def _is_lab_thread(frames: Sequence[Frame]) -> bool:
    return any(frame.function == _IDLE and _OURS.search(frame.file) for frame in frames)


def _name(frames: Sequence[Frame]) -> str:
    """Innermost first. The public call is the outermost one below the lab's own code."""
    below = []
    for frame in frames:
        if _OURS.search(frame.file):
            break
        below.append(frame)
    own = frames[len(below)] if len(below) < len(frames) else frames[-1]
    if not below:
        # A lock's own methods are not in Python, so they have no frame.
        return f"Lock.acquire (in {own.qualified})" if _lock(own) else own.qualified
    if below[-1].file.endswith("threading.py"):
        # A thread of the library's own: its work begins above the frames of Thread.
        below = [frame for frame in below if not frame.file.endswith("threading.py")] or below
    public, innermost = below[-1], below[0]
    lock = next((found for frame in below if (found := _lock(frame))), "")
    if lock:
        return f"{public.qualified} ({lock})"
    return public.qualified if innermost is public else f"{public.qualified} (in {innermost.qualified})"


def _lock(frame: Frame) -> str:
    found = _LOCK.search(frame.source)
    return _LOCKS[found[1]] if found else ""


def qualified(file: str, line: int) -> str:
    """The innermost function of a source file that a line is in, with its class; empty where unknown."""
    return next((name for first, last, name in _functions(file) if first <= line <= last), "")


@functools.cache
def _functions(file: str) -> list[tuple[int, int, str]]:
    """Every function of a file, the innermost first: first line, last line, name with its class."""
    try:
        tree = ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return []
    found: list[tuple[int, int, str]] = []

    def walk(node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, child.name)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{owner}.{child.name}" if owner else child.name
                found.append((child.lineno, child.end_lineno or child.lineno, name))
                walk(child, owner)
            else:
                walk(child, owner)

    walk(tree, "")
    return sorted(found, key=lambda entry: entry[1] - entry[0])
