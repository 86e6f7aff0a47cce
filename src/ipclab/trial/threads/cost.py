"""The CPU time of a process with all its children, and whether the interpreter has its global lock."""

from __future__ import annotations

import contextlib
import sys
import time

import psutil


def cpu_s() -> float:
    """Return the CPU time of this process and of its living children so far, in seconds."""
    total = time.process_time()
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            spent = child.cpu_times()
            total += spent.user + spent.system
    return total


def has_gil() -> bool:
    """Return whether one thread at a time runs Python code in this interpreter."""
    # Before Python 3.13 there is no interpreter without it.
    asked = getattr(sys, "_is_gil_enabled", None)
    return asked is None or bool(asked())
