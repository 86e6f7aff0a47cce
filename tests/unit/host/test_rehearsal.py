"""Foreign code is tried in a child, which tells the lab what the code would do to the lab's own process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from ipclab.host import rehearsal
from ipclab.host.surroundings import Surroundings

pytestmark = pytest.mark.usefixtures("nothing_left")


def pin() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def replace_clock() -> None:
    time.monotonic = lambda: 0.0  # type: ignore[assignment]


def change_and_fail() -> None:
    os.chdir("/")
    raise ImportError


CHANGES: dict[str, tuple[Callable[[], object], str]] = {
    "nice": (lambda: os.nice(1), "changed the nice value of its process from "),
    "folder and an error": (change_and_fail, "changed the working folder of its process to /"),
    "umask": (lambda: os.umask(0o007), "changed the umask of its process"),
    "handler": (lambda: signal.signal(signal.SIGHUP, lambda *_: None), "changed the handler of SIGHUP"),
    "clock": (replace_clock, "replaced time.monotonic in its process"),
    "thread": (lambda: threading.Thread(target=time.sleep, args=(60,)).start(), "left a non-daemon thread"),
    "process": (
        lambda: subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]),
        "left a process running: ",
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork nothing is tried")
@pytest.mark.parametrize("what", CHANGES)
def test_what_foreign_code_changes_in_its_process_is_told_before_the_lab_runs_it(what: str) -> None:
    action, said = CHANGES[what]
    before = Surroundings.now()
    assert said in rehearsal.fatal(action)
    assert Surroundings.now() == before


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="there is one processor only")
def test_foreign_code_that_pins_its_process_is_told() -> None:
    assert "changed the CPU affinity of its process from" in rehearsal.fatal(pin)


def fail() -> None:
    raise ImportError


@pytest.mark.parametrize("action", [lambda: None, fail, lambda: os.environ.update(IPCLAB_X="1")])
def test_code_that_returns_or_fails_and_changes_nothing_is_left_to_the_lab(
    action: Callable[[], object],
) -> None:
    assert rehearsal.fatal(action) == ""
