"""The stacks of a process from outside, by py-spy. The process is not paused."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ipclab.errors import UsageError
from ipclab.host.stacks import Frame, qualified
from ipclab.host.text import clean

WITHIN_S = 20.0
TRIES = 80
BETWEEN_TRIES_S = 0.01
INSTALL = "ipclab hang needs py-spy: pip install 'ipclab[hang]'"
REFUSED = (
    "the system does not let you read process {pid}: run it as the user of that process or as root "
    "(sudo), or allow it for a while with 'sudo sysctl kernel.yama.ptrace_scope=0'; in a container add "
    "'--cap-add SYS_PTRACE'"
)
_REFUSALS = ("permission denied", "operation not permitted", "eperm", "eacces")


class _Frame(msgspec.Struct):
    name: str
    filename: str
    line: int


class _Thread(msgspec.Struct):
    thread_name: str | None
    os_thread_id: int | None
    frames: list[_Frame]


@dataclass(frozen=True, slots=True)
class Spied:
    """A thread that py-spy saw, innermost frame first."""

    tid: int
    name: str
    frames: tuple[Frame, ...]


class _TornError(Exception):
    """A stack changed while it was read, since the process is not paused."""


class RefusedError(UsageError):
    """The system does not let the caller read this process."""


def program() -> str:
    """Return the path of py-spy. Raise UsageError where it is not installed."""
    beside = Path(sys.executable).parent / "py-spy"
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise UsageError(INSTALL)
    return found


def threads(pid: int) -> list[Spied]:
    """Return the Python threads of a process. Raise RefusedError, or ValueError with the reason where it is
    no Python process or its stacks cannot be read."""
    for _ in range(TRIES):
        try:
            return _threads(pid)
        except _TornError as error:
            reason = str(error)
            time.sleep(BETWEEN_TRIES_S)
    raise ValueError(f"its stacks changed while they were read, {TRIES} times ({reason})")


def _threads(pid: int) -> list[Spied]:
    """Read the stacks once. Raise as ``threads()`` does, or _TornError where another try may succeed."""
    command = [program(), "dump", "--json", "--nonblocking", "--pid", str(pid)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=WITHIN_S, check=False)
    except subprocess.TimeoutExpired:
        raise ValueError(f"py-spy did not answer within {WITHIN_S:g} s") from None
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        if any(word in said.lower() for word in _REFUSALS):
            raise RefusedError(REFUSED.format(pid=pid))
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        reason = clean(" ".join(lines[:2]).removeprefix("Error: ") or f"py-spy ended with {done.returncode}")
        raise (ValueError if "find a python" in reason.lower() else _TornError)(reason)
    return parse(done.stdout, _root(pid))


def _root(pid: int) -> str:
    """Return where the files of a process are, such as one in a container; empty where they are our own."""
    root = f"/proc/{pid}/root"
    try:
        return "" if os.path.samefile(root, "/") else root
    except OSError:
        return ""


def parse(output: bytes, root: str = "") -> list[Spied]:
    """Return the threads in py-spy's JSON, with files below ``root``. Raise ValueError for other JSON."""
    try:
        found = msgspec.json.decode(output, type=list[_Thread])
    except msgspec.DecodeError as error:
        raise ValueError(f"py-spy wrote something unexpected: {error}") from None
    return [
        Spied(
            one.os_thread_id or 0,
            clean(one.thread_name or ""),
            tuple(_frame(each, root) for each in one.frames),
        )
        for one in found
    ]


def _frame(frame: _Frame, root: str) -> Frame:
    """Return a frame as faulthandler reports it; with py-spy's longer name where there is no source."""
    file, name = clean(frame.filename), clean(frame.name)
    file = root + file if file.startswith("/") else file
    known = qualified(file, frame.line)
    return Frame(file, frame.line, name.rpartition(".")[2] if known else name)
