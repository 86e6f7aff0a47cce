"""The stacks that faulthandler writes, as data: threads, frames, and marks that identify functions by their
code.

This is the only parser of such dumps. It knows no function name of the lab: a caller passes the function
itself (``Mark``), so that a rename changes no finding.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import linecache
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_FRAME = re.compile(r'File "(?P<file>[^"]+)", line (?P<line>\d+) in (?P<function>\S+)')
_CURRENT = "Current thread"
NO_STACK = "no stack: the process did not answer"


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame of a stack."""

    file: str
    line: int
    function: str

    @property
    def name(self) -> str:
        """Return the function with its class, such as ``Queue.get``; its name where there is no source."""
        return qualified(self.file, self.line) or self.function

    @property
    def source(self) -> str:
        """Return the line of source where the frame stands; empty where it cannot be read."""
        return linecache.getline(self.file, self.line)

    def __str__(self) -> str:
        """Return the frame as ``Lib/multiprocessing/synchronize.py:95 __enter__``."""
        return f"{short(self.file)}:{self.line} {self.function}"


@dataclass(frozen=True, slots=True)
class Mark:
    """A function, identified by its code, to be found in a stack."""

    file: str
    first_line: int
    function: str

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Mark:
        """Return the mark of a function or method written in Python."""
        code = function.__code__
        return cls(code.co_filename, code.co_firstlineno, code.co_name)

    def fits(self, frame: Frame) -> bool:
        """Return whether this frame is one of the function."""
        if frame.file != self.file or frame.function != self.function:
            return False
        innermost = _function_at(self.file, frame.line)
        # Without a source, only the name can be compared.
        return _tree(self.file) is None or (innermost is not None and innermost.first_line == self.first_line)


def threads(dump: str) -> list[list[Frame]]:
    """Return the frames of each thread in a dump, innermost first; threads without a frame are left out."""
    return [found for part in dump.split("\n\n") if (found := _frames(part))]


def main_thread(dump: str) -> str:
    """Return the main thread's part of a dump: the thread that the signal asked."""
    _, found, current = dump.partition(_CURRENT)
    return (current if found else dump).partition("\n\n")[0]


def main_frames(dump: str) -> list[Frame]:
    """Return the frames of the main thread, innermost first."""
    return _frames(main_thread(dump))


def is_whole(dump: str) -> bool:
    """Return whether a dump has the main thread, which comes last where all threads are dumped."""
    return _CURRENT in dump or dump.startswith("Stack ")


def is_main(frames: Sequence[Frame]) -> bool:
    """Return whether these frames are the main thread's; any other thread's end in ``Thread._bootstrap``."""
    return frames[-1].function.rpartition(".")[2] != "_bootstrap" or not frames[-1].file.endswith(
        "threading.py"
    )


def read(path: Path) -> str:
    """Return the content of a file of stacks; empty where the file does not exist."""
    with contextlib.suppress(FileNotFoundError):
        return path.read_text(errors="replace")
    return ""


def short(file: str) -> str:
    """Return a library's file relative to the library, and one of Python's relative to its source."""
    path, library = Path(file), Path(os.__file__).parent
    if "site-packages" in path.parts:
        return "/".join(path.parts[path.parts.index("site-packages") + 1 :])
    return f"Lib/{path.relative_to(library)}" if path.is_relative_to(library) else path.name


def qualified(file: str, line: int) -> str:
    """Return the innermost function that a line of a file is in, with its class; empty where unknown."""
    found = _function_at(file, line)
    return found.name if found else ""


def call_at(file: str, line: int) -> str:
    """Return the call at this line of a source file, such as ``self._lock.acquire``; empty where unknown.

    Where one line has several calls, return the first call of a method.
    """
    tree = _tree(file)
    calls = [
        node
        for node in (ast.walk(tree) if tree else ())
        if isinstance(node, ast.Call) and node.lineno <= line <= (node.end_lineno or node.lineno)
    ]
    starting = [call for call in calls if call.lineno == line] or calls
    methods = [call for call in starting if isinstance(call.func, ast.Attribute)] or starting
    if not methods:
        return ""
    first = min(methods, key=lambda call: (call.lineno, call.col_offset))
    name = ast.unparse(first.func)
    return name if re.fullmatch(r"[\w.]+", name) else ""


@dataclass(frozen=True, slots=True)
class _Function:
    first_line: int
    last_line: int
    name: str


def _frames(text: str) -> list[Frame]:
    return [Frame(f["file"], int(f["line"]), f["function"]) for f in _FRAME.finditer(text)]


def _function_at(file: str, line: int) -> _Function | None:
    return next((f for f in _functions(file) if f.first_line <= line <= f.last_line), None)


@functools.cache
def _tree(file: str) -> ast.Module | None:
    try:
        return ast.parse(Path(file).read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


@functools.cache
def _functions(file: str) -> list[_Function]:
    """Return every function of a file, the innermost first."""
    found: list[_Function] = []

    def walk(node: ast.AST, owner: str) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.ClassDef):
                walk(child, child.name)
            elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{owner}.{child.name}" if owner else child.name
                # A decorated function's code begins with its first decorator.
                first = min([child.lineno, *(d.lineno for d in child.decorator_list)])
                found.append(_Function(first, child.end_lineno or child.lineno, name))
                walk(child, owner)
            else:
                walk(child, owner)

    if tree := _tree(file):
        walk(tree, "")
    return sorted(found, key=lambda entry: entry.last_line - entry.first_line)
