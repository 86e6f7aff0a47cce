"""Keys at the terminal reach the whole group of the lab. Its children leave the end to the lab."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("key", ["SIGINT", "SIGQUIT"])
def test_a_child_of_the_lab_is_not_ended_by_a_key(key: str) -> None:
    code = (
        "import os, signal; from ipclab.host.child import reset_signals\n"
        f"reset_signals(); os.kill(os.getpid(), signal.{key}); print('goes on')"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )
    assert (told.returncode, told.stdout) == (0, "goes on\n")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc, which shows blocked signals")
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_no_key_and_no_closed_terminal_ends_the_tracker_of_semaphores_before_the_lab(method: str) -> None:
    code = (
        "import os, signal; from multiprocessing import resource_tracker\n"
        "from pathlib import Path; from ipclab.host.start_methods import context\n"
        f"context({method!r}).Semaphore()\n"
        "tracker = resource_tracker._resource_tracker._pid\n"
        "print(next(x for x in Path(f'/proc/{tracker}/status').read_text().splitlines() if 'SigBlk' in x))\n"
        "print(signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    )
    told = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    first, own = told.stdout.splitlines()
    blocked = int(first.split()[1], 16)
    for number in (signal.SIGQUIT, signal.SIGHUP):
        assert blocked >> (number - 1) & 1
    assert own == "set()"
    assert told.stderr == ""
