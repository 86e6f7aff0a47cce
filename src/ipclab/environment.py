"""The machine and its software, in terms that may be published."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Iterable
from pathlib import Path

import psutil

from ipclab import __version__
from ipclab.brokers import kinds
from ipclab.host.clock import ClockTest
from ipclab.host.limits import cpu_limit
from ipclab.host.resources import cores
from ipclab.host.start_methods import StartMethod
from ipclab.results.result import Environment

_LIBRARIES = ("docker", "numpy")
"""The libraries of the lab itself; the kinds of servers name those of their clients."""


def describe(start_method: StartMethod, clock: ClockTest, distributions: Iterable[str] = ()) -> Environment:
    """Return the present state of this machine, with the versions of these distributions too."""
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
        libraries=_library_versions(distributions),
        clock=clock,
        cpu_limit=_cpu_limit(),
    )


def machine() -> tuple[str, int, int]:
    """Return the processor, the number of cores and the memory in bytes, as ``describe()`` has them."""
    return _processor(), cores(), psutil.virtual_memory().total


def _cpu_limit() -> float | None:
    """Return the limit on CPU time where it is below that of the cores."""
    limit = cpu_limit()
    return limit if limit is not None and limit < cores() else None


def _library_versions(distributions: Iterable[str]) -> dict[str, str]:
    """Return the versions of the libraries that measurements depend on."""
    clients = [name for kind in kinds.usable() for name in kinds.get(kind).libraries]
    found = {}
    for name in (*clients, *distributions, *_LIBRARIES):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def _processor() -> str:
    """Return the processor's own name where the system reports it, else its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
