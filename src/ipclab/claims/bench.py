"""The tools of a claim's experiment: supervised processes, a timeline, brokers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

from ipclab.backends.base import BrokerKind, Site
from ipclab.claims.child import PATIENCE_S, Child, ExperimentError
from ipclab.claims.timeline import Timeline
from ipclab.host import start_methods as startmethod
from ipclab.host.folders import CLAIM_PREFIX
from ipclab.host.start_methods import Context, StartMethod

EXPERIMENT = 0
"""The number of an experiment in its run, of which it is the only one; a mark on a server takes it."""


class Bench:
    """Belongs to the process that runs the experiment, which has no threads, so forking it is safe.

    ``timeline`` may be passed to children; the bench itself may not. ``folder`` is an empty folder for files
    of the experiment, deleted at its end; ``namespace`` is the prefix of all names that it makes on a server.
    Not thread-safe.
    """

    def __init__(self, folder: Path, *, live: bool = False) -> None:
        self.folder = folder
        self.start_method: StartMethod = startmethod.default()
        self.context: Context = startmethod.context(self.start_method)
        self.timeline = Timeline(folder / "timeline", time.monotonic_ns(), live, _columns() if live else 0)
        self.namespace = namespace(folder)
        self._children = 0

    def start(
        self, function: Callable[..., Any], *args: Any, name: str = "", method: StartMethod | None = None
    ) -> Child:
        """Run ``function(*args)`` in a supervised process and return the child.

        For a start method other than fork, ``function`` must be a top-level function of the file, and its
        arguments and its result must be picklable.
        """
        self._children += 1
        name = name or f"child-{self._children}"
        # Names may repeat, and the clean-up after an experiment has a bench with the same folder.
        folder = Path(tempfile.mkdtemp(prefix="stacks-", dir=self.folder))
        return Child(name, folder, method or self.start_method, function, args)

    def interpreter(self, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run code in a separate interpreter, and wait for its end.

        Raise ExperimentError where it takes too long.
        """
        try:
            return subprocess.run(
                [sys.executable, "-P", "-c", code, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise ExperimentError(f"an interpreter did not end within {PATIENCE_S:.0f} s") from error

    def reached(self, milestone: Semaphore, what: str) -> None:
        """Wait until a process has released the semaphore: it is then at the point where it can hang.

        Raise ExperimentError, naming ``what``, where it does not in time.
        """
        self.until(lambda: milestone.acquire(block=False), what)

    def until(self, condition: Callable[[], bool], what: str, within_s: float = PATIENCE_S) -> None:
        """Wait until the condition holds. Raise ExperimentError, naming ``what``, after ``within_s``."""
        deadline = time.monotonic() + within_s
        while not condition():
            if time.monotonic() > deadline:
                raise ExperimentError(f"gave up after waiting {within_s:.0f} s for {what}")
            time.sleep(0.002)

    def url(self, kind: BrokerKind) -> str:
        """Return the address of a broker that the claim ``needs``; it may contain a password."""
        from ipclab.brokers.url import find

        found = find(kind)
        if found is None:
            raise ExperimentError(f"the claim does not say that it needs {kind}")
        return found[1]

    def site(self, kind: BrokerKind | None = None, *, producers: int = 1, consumers: int = 1) -> Site:
        """Return the site for a backend of the lab in this experiment, with a namespace of its own."""
        return Site(
            namespace=self.namespace,
            producers=producers,
            consumers=consumers,
            start_method=self.start_method,
            url=self.url(kind) if kind else None,
        )


def _columns() -> int:
    """Return the width of the terminal that shows what happens: what ``COLUMNS`` says, else the terminal's; 0
    where there is none."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal():
        return int(told)
    with contextlib.suppress(OSError):
        return os.get_terminal_size(1).columns
    return 0


def namespace(folder: Path) -> str:
    """Return the namespace of the experiment with this folder, which is as unique: ``ipclab:claim-…:0``."""
    return f"{run_of(folder)}:{EXPERIMENT}"


def run_of(folder: Path) -> str:
    """Return what a mark calls the run of the experiment with this folder: ``ipclab:claim-…``."""
    return f"ipclab:claim-{folder.name.removeprefix(CLAIM_PREFIX)}"
