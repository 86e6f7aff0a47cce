"""The address of a machine, as the user gives it: ``exec:COMMAND`` or ``ssh:[USER@]HOST[:PYTHON]``."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, assert_never

from ipclab.errors import UsageError

Engine = Literal["exec", "ssh"]
FORMS = "exec:COMMAND, such as exec:'docker exec -i a python3', or ssh:USER@HOST"
_BEGIN = "import sys;exec(eval(sys.stdin.readline()))"
"""What an interpreter runs to become a gateway: it reads the rest from its standard input."""


@dataclass(frozen=True, slots=True)
class Address:
    """How to reach a Python on another machine: by any command whose standard streams lead to it, or by ssh.

    ``target`` is the command of ``exec``, or the host of ``ssh`` with the options of ssh before it;
    ``python`` is the interpreter there (ssh).
    """

    engine: Engine
    target: str
    python: str = "python3"

    @property
    def name(self) -> str:
        """Return the name by which ``--place`` may call the machine: the host of ssh, else an empty text."""
        return shlex.split(self.target)[-1].rpartition("@")[2] if self.engine == "ssh" else ""

    @property
    def command(self) -> str:
        """Return the command for the launcher of the engine, which appends ``-u -c`` and a line of Python."""
        match self.engine:
            case "exec":
                return self.target
            case "ssh":
                # The shell there would read the line of Python without its quotes, so it is made a comment.
                there = f"exec {shlex.quote(self.python)} -u -c {shlex.quote(_BEGIN)} #"
                options = shlex.split(self.target)
                return shlex.join(["ssh", "-T", "-o", "BatchMode=yes", *options, there])
            case _:
                assert_never(self.engine)


def parse(text: str) -> Address:
    """Return the address that this text gives. Raise UsageError where it gives none."""
    engine, _, rest = text.partition(":")
    try:
        words = shlex.split(rest)
    except ValueError as error:
        raise UsageError(f"--host {text!r}: {error}") from error
    if engine == "socket" or (engine == "exec" and rest.startswith("socket=")):
        raise UsageError(
            f"--host {text!r}: a socket server runs the code of anybody who connects; "
            "use ssh:, or exec: with a command"
        )
    if not words:
        raise UsageError(f"--host {text!r} names no machine; write {FORMS}")
    if engine == "exec":
        return Address("exec", rest.strip())
    if engine == "ssh":
        host, _, python = words[-1].partition(":")
        if not host or host.startswith("-"):
            raise UsageError(f"--host {text!r} names no machine; write {FORMS}")
        return Address("ssh", shlex.join([*words[:-1], host]), python or "python3")
    raise UsageError(f"--host {text!r}: there is no engine {engine!r}; write {FORMS}")


def parse_all(texts: Sequence[str]) -> tuple[Address, ...]:
    """Return the addresses of the machines 1, 2, … in their order. Raise UsageError."""
    return tuple(parse(text) for text in texts)
