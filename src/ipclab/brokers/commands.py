"""Runs other programs for the lab, with a time limit, captured output, and no Ctrl-C from the terminal."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_KILLED_WITHIN_S = 2.0


def run(
    command: Sequence[str],
    *,
    timeout_s: float,
    env: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a command like ``subprocess.run``, but without Ctrl-C from the terminal, and end all its helpers.

    A command that cannot be run counts as a command that failed.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=None if env is None else dict(env),
            cwd=folder,
            start_new_session=True,
        )
    except OSError as error:
        return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")
    with process:
        try:
            output, errors = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            _kill_group(process)
            return subprocess.CompletedProcess(command, 124, "", f"no answer within {timeout_s:g} s")
        except BaseException:
            _kill_group(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def last_line(text: str) -> str:
    """Return the error in the output of a command: the last line that is not empty."""
    lines = [" ".join(line.split()) for line in text.splitlines() if line.strip()]
    return lines[-1][-300:] if lines else "no reason given"


def _kill_group(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    with contextlib.suppress(subprocess.TimeoutExpired):
        # A helper with a session of its own may keep the output open.
        process.communicate(timeout=_KILLED_WITHIN_S)
