"""A server that a test has started ends with the process of the tests, also where that is killed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.processes import wait_until_gone

CODE = """
import pathlib, psutil, sys, time
from tests.support import own_servers

with own_servers._running(["sleep", "600"], pathlib.Path(sys.argv[1])):
    print(*(child.pid for child in psutil.Process().children()), flush=True)
    time.sleep(600)
"""


def test_a_server_ends_with_a_process_of_tests_that_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CODE, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as tests:
        assert tests.stdout is not None
        servers = {int(pid) for pid in tests.stdout.readline().split()}
        assert len(servers) == 1
        tests.send_signal(signal.SIGKILL)
    assert not wait_until_gone(servers)
