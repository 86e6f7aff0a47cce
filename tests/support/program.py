"""The program ``ipclab`` as tests run it: where it is, short runs, and what a run leaves behind."""

from __future__ import annotations

import socket
import sysconfig
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

PROGRAM = str(Path(sysconfig.get_path("scripts")) / "ipclab")
TIMEOUT_S = 60
SHORT = ("--duration", "0.1", "--warmup", "0", "--repeats", "1")
ONE_TRIAL = ("run", "round_trip", "--backend", "pipe", *SHORT)


def with_option(words: tuple[str, ...], option: str, value: str) -> tuple[str, ...]:
    """Return the words with another value of an option that they have: none may be given twice."""
    at = words.index(option) + 1
    return (*words[:at], value, *words[at + 1 :])


"""The shortest run that there is."""
PASSWORD = "s3cret-hunter2"


@dataclass(frozen=True, slots=True)
class Ended:
    """What a program left behind."""

    code: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """Return the text on stderr, which must be one line."""
        (line,) = self.err.splitlines()
        return line


Ipclab = Callable[..., Ended]


def free_port() -> int:
    """Return a loopback port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    assert isinstance(port, int)
    return port
