"""Programs of servers on this machine: where they are searched, and with what environment they start."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path

_MORE_FOLDERS = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/opt/homebrew/bin",
)

# Set the parent-death signal to SIGKILL, check whether the parent went meanwhile, and become the program.
_BECOME = (
    "import ctypes, os, sys\n"
    "parent, folder, *argv = sys.argv[1:]\n"
    "ctypes.CDLL(None).prctl(1, 9)\n"
    "if os.getppid() != int(parent): os._exit(1)\n"
    "os.chdir(folder)\n"
    "try: os.execvp(argv[0], argv)\n"
    "except OSError as error: sys.exit(f'{argv[0]}: {error.strerror}')\n"
)
DIES_WITH_PARENT = (sys.executable, "-I", "-S", "-c", _BECOME)
"""A command prefix, followed by the pid of the parent, a working folder, and a command: Linux kills the
command when its parent ends.

This holds until the command switches to another user; the children of the command survive.
"""


def search_path() -> str:
    """Return PATH and the folders where servers are often installed but which a user's PATH may lack."""
    return os.pathsep.join([os.environ.get("PATH", ""), *_MORE_FOLDERS])


def find(program: str) -> str | None:
    """Return the path of a program on this machine, None where it is not installed."""
    return shutil.which(program, path=search_path())


def environment(folder: Path) -> dict[str, str]:
    """Return the environment of a private server whose home is ``folder``.

    It is small: what the user has set for a server of their own must not reach a private server.
    """
    kept = {name: os.environ[name] for name in ("TZ", "LD_LIBRARY_PATH", "TMPDIR") if name in os.environ}
    return kept | {"PATH": search_path(), "HOME": str(folder), "LANG": "C.UTF-8"}


def script_dying_with_parent(program: str) -> str:
    """Return a shell script that becomes ``program``, and that Linux kills when its parent ends."""
    return f'#!/bin/sh\nexec {shlex.join(DIES_WITH_PARENT)} "$PPID" . {shlex.quote(program)} "$@"\n'


def write_private(path: Path, text: str) -> None:
    """Write a configuration file that only this user can read: it may contain a password."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
