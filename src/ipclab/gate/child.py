"""One run of an experiment by ``python -m ipclab run``, in a process of its own."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from ipclab.errors import IpclabError
from ipclab.exit_codes import ExitCode
from ipclab.gate.sides import Interpreter
from ipclab.results.result import Result
from ipclab.results.store import Store

_ENDS_WITHIN_S = 30.0
_FINE = (ExitCode.SUCCESS, ExitCode.BROKEN, ExitCode.UNKNOWN)
"""The exit codes of a run that has a result: a broken guarantee is a result."""


class RunFailedError(IpclabError):
    """A run ended without a result. Its exit code is that of the run."""

    def __init__(self, message: str, exit_code: int = ExitCode.BROKEN) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def run(
    side: Interpreter, experiment: str, options: Sequence[str], environ: Mapping[str, str], folder: Path
) -> Result:
    """Run an experiment with these options of ``ipclab run``, and return its result.

    The result is stored below ``folder``, which is made. No module of the current working folder is
    imported. Raise RunFailedError where there is no result, ResultsError where it cannot be read. An
    exception that comes meanwhile ends the run and goes on.
    """
    folder.mkdir(parents=True)
    log = folder / "words.txt"
    command = [side.python, "-P", "-m", "ipclab", "run", experiment, *options, "--results", str(folder)]
    code = _carried_out(command, environ, log)
    if code not in _FINE or not Store(folder).runs():
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = lines[-1].removeprefix("ipclab: ") if lines else f"exit code {code}"
        known = code if code in (ExitCode.USAGE, ExitCode.NO_BROKER) else ExitCode.BROKEN
        raise RunFailedError(f"a run of {side.label} failed: {last}", known)
    return Store(folder).load(experiment)


def _carried_out(command: Sequence[str], environ: Mapping[str, str], log: Path) -> int:
    """Run a program to its end, and end it with this one; its output goes to the log."""
    with log.open("wb") as words:
        child = subprocess.Popen(
            command, env=dict(environ), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=words
        )
    try:
        return child.wait()
    finally:
        if child.poll() is None:
            child.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(_ENDS_WITHIN_S)
            if child.poll() is None:
                child.kill()
                child.wait()
