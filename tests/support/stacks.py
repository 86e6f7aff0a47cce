"""Processes that hang, and what they write about where they stand."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path

from ipclab.host.start_methods import context

LOOK_S = 0.05
WITHIN_S = 20.0


class Hanging:
    """A forked process in a call that does not come back; ended with the block that it was made in."""

    def __init__(self, folder: Path, call: Callable[[], object]) -> None:
        self._path = folder / f"{time.monotonic_ns()}.stack"
        self.process: BaseProcess = context("fork").Process(target=self._run, args=(call,), daemon=True)
        self.process.start()

    def _run(self, call: Callable[[], object]) -> None:
        with self._path.open("w") as file:
            faulthandler.register(signal.SIGUSR1, file, all_threads=True)
            call()

    def stack(self) -> str:
        """Return its stack, once two looks have found it in the same place.

        It is asked only when none of its threads has run for a while: faulthandler reads all of them without
        the interpreter's lock, and a thread that begins or ends meanwhile makes it crash.
        """
        deadline = time.monotonic() + WITHIN_S
        before = ""
        while time.monotonic() < deadline:
            found = self._look() if self._rests() and self._is_registered() else ""
            if found and found == before:
                return found
            before = found
        raise AssertionError(f"it did not come to rest: {before}")

    def _rests(self) -> bool:
        """Return whether all of its threads sleep, and none has woken up between two looks at them."""
        before = self._threads()
        time.sleep(LOOK_S)
        assert self.process.is_alive(), f"it came back, with exit code {self.process.exitcode}"
        return before == self._threads() and all(state == "S" for state, _ in before.values())

    def _threads(self) -> dict[str, tuple[str, str]]:
        """Return the state of each thread, and how often it has given up a processor."""
        found = {}
        for task in Path(f"/proc/{self.process.pid}/task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                says = dict(line.split(":\t", 1) for line in (task / "status").read_text().splitlines())
                found[task.name] = says["State"][0], says["voluntary_ctxt_switches"]
        return found

    def _is_registered(self) -> bool:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("SigCgt:"):
                return bool(int(line.split()[1], 16) >> (signal.SIGUSR1 - 1) & 1)
        return False

    def _look(self) -> str:
        size = self._path.stat().st_size
        assert self.process.pid is not None
        os.kill(self.process.pid, signal.SIGUSR1)
        time.sleep(LOOK_S)
        return self._path.read_text()[size:]


@contextlib.contextmanager
def hanging(folder: Path) -> Iterator[Callable[[Callable[[], object]], Hanging]]:
    """Yield a maker of processes that hang, and end them afterwards."""
    made: list[Hanging] = []

    def make(call: Callable[[], object]) -> Hanging:
        made.append(Hanging(folder, call))
        return made[-1]

    yield make
    for one in made:
        one.process.kill()
        one.process.join()
