"""Keys at the terminal reach the whole group of the lab. Its children leave the end to the lab."""

from __future__ import annotations

import subprocess
import sys

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
