"""What the machine and its software are, in terms that may be shown to anybody."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import sys
from pathlib import Path

import psutil

from ipclab import __version__
from ipclab.host.clock import ClockTest
from ipclab.host.resources import cores
from ipclab.host.start_methods import StartMethod
from ipclab.results.result import Environment

LIBRARIES = ("redis", "hiredis", "pika", "pymemcache", "docker", "numpy")


def describe(start_method: StartMethod, clock: ClockTest) -> Environment:
    """This machine, now."""
    return Environment(
        ipclab=__version__,
        python=platform.python_version(),
        implementation=sys.implementation.name,
        system=f"{platform.system()} {platform.release().partition('-')[0]}",
        processor=_processor(),
        cores=cores(),
        memory_bytes=psutil.virtual_memory().total,
        load_1min=round(os.getloadavg()[0], 2),
        start_method=start_method,
        libraries={name: importlib.metadata.version(name) for name in LIBRARIES},
        clock=clock,
    )


def _processor() -> str:
    """The processor's own name where the system tells it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
