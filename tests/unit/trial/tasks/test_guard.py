"""The guard of a trial of a task queue ends its sessions when the trial is gone."""

from __future__ import annotations

import subprocess
import sys

from ipclab.trial.tasks import guard


def test_all_processes_of_a_session_end_when_the_input_of_the_guard_ends() -> None:
    asleep = subprocess.Popen(["sleep", "60"], start_new_session=True)
    other = subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        watching = subprocess.Popen([sys.executable, "-I", "-S", guard.__file__], stdin=subprocess.PIPE)
        watching.communicate(f"{asleep.pid}\n".encode(), timeout=30)
        assert asleep.wait(30) == -9
        assert other.poll() is None
    finally:
        for process in (asleep, other):
            process.kill()
            process.wait()
