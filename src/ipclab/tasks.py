"""The effect of a task in the experiment ``tasks``: a begin and an end in a log of the lab.

A task of a task queue calls ``effect(body)``. The lab may hold every task between its begin and its end, so
that a fault strikes in the middle of a task without any sleep. Works in any process and thread of a worker
that the lab started; standard library only, so that importing it costs a worker nothing.
"""

from __future__ import annotations

import fcntl
import os
from time import perf_counter_ns

FOLDER_VARIABLE = "IPCLAB_TASKS_FOLDER"
"""The environment variable with the folder of the log and of the gate."""
LOG_NAME = "effects"
GATE_NAME = "gate"


def effect(body: str) -> None:
    """Log the begin of a task, wait while the lab holds it, and log its end. Each entry is one write.

    Raise KeyError in a process that the lab did not start, OSError where the folder is gone.
    """
    folder = os.environ[FOLDER_VARIABLE]
    log = os.open(f"{folder}/{LOG_NAME}", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(log, f"begin {body} {os.getpid()} {perf_counter_ns()}\n".encode())
        _pass_the_gate(f"{folder}/{GATE_NAME}")
        os.write(log, f"end {body} {os.getpid()} {perf_counter_ns()}\n".encode())
    finally:
        os.close(log)


def _pass_the_gate(path: str) -> None:
    """Return once nobody holds the gate; the lab holds it by an exclusive lock, which ends with the lab."""
    gate = os.open(path, os.O_RDONLY | os.O_CREAT, 0o600)
    try:
        fcntl.flock(gate, fcntl.LOCK_SH)
    finally:
        os.close(gate)
