"""Waits for the end of a lab process, however it ends, and then ends what it left behind.

It runs beside a lab that has started servers, asleep in one system call. A lab that ends normally ends its
servers first, and then this process.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
import time
from pathlib import Path

import msgspec

from ipclab.brokers import processes, state
from ipclab.brokers.processes import ProcessId

_POLL_S = 0.5
_PROGRAM = "import sys; from ipclab.brokers import keeper; keeper.main(sys.argv[1:])"
_KEPT_VARIABLES = (
    *("PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "VIRTUAL_ENV"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
)
"""The environment variables that a keeper needs; addresses of servers, which may contain passwords, are not
among them."""


def start() -> ProcessId:
    """Start a keeper of the calling process; end it with ``processes.end``."""
    me = msgspec.json.encode(processes.this_process()).decode()
    argv = [sys.executable, "-P", "-c", _PROGRAM, me]
    # The keeper has another working folder, so relative paths of this process must become absolute.
    home = state.home()
    paths = os.pathsep.join(str(Path(p).absolute()) for p in sys.path)
    env = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    env |= {"PYTHONPATH": paths, "IPCLAB_STATE_DIR": str(home)}
    return processes.spawn(argv, folder=home, log=Path(os.devnull), env=env)


def wait_for_end(owner: ProcessId) -> None:
    """Wait until ``owner`` is gone."""
    with contextlib.suppress(OSError, AttributeError):
        handle = os.pidfd_open(owner.pid)
        try:
            if processes.is_alive(owner):
                select.select([handle], [], [])
        finally:
            os.close(handle)
    while processes.is_alive(owner):
        time.sleep(_POLL_S)


def main(arguments: list[str]) -> None:
    """Keep the process whose identity is the only argument, in JSON."""
    wait_for_end(msgspec.json.decode(arguments[0], type=ProcessId))
    state.sweep()
