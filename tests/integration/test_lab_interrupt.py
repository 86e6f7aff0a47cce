"""Ctrl-C at several moments of a run, and worse: nothing is left running, and finished trials are kept."""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from ipclab.brokers import KINDS, kinds, processes
from ipclab.results.result import Result
from ipclab.results.store import Store, read
from tests.support import faulty
from tests.support.processes import wait_until_gone
from tests.support.servers import require_server

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]

ROOT = Path(__file__).parents[2]
PROGRAM = "from ipclab.cli import main; main()"
DEADLINE_S = 40.0
STEADY_S = 0.3
"""Senders that have not moved for so long are done."""


class Lab:
    """``ipclab run`` as its user runs it: a process group of its own, which a Ctrl-C reaches as a whole."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.results, self.tmp, self.state = folder / "results", folder / "tmp", folder / "state"
        self.tmp.mkdir()
        faulty.install(folder / "site")
        self._errors = folder / "stderr"
        ours = list(kinds.variables())
        env = {name: value for name, value in os.environ.items() if name not in ours}
        env |= {
            "IPCLAB_STATE_DIR": str(self.state),
            "TMPDIR": str(self.tmp),
            "PYTHONPATH": os.pathsep.join([str(folder / "site"), str(ROOT)]),
        }
        command = [sys.executable, "-c", PROGRAM, "run", *arguments, "--results", str(self.results)]
        command += ["--provider", "native", "--no-install"]
        with self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command, env=env, stdout=subprocess.DEVNULL, stderr=errors, start_new_session=True, cwd=folder
            )

    def everybody(self) -> set[int]:
        """The lab, its workers, helpers and servers, as far as they run now."""
        found = {p.pid for p in psutil.Process(self.process.pid).children(recursive=True)}
        found |= {p.pid for p in processes.inside(self.state)} if self.state.exists() else set()
        return found | {self.process.pid}

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def stored(self) -> Result | None:
        """The result so far."""
        found = list(self.results.glob("*/*/result.json"))
        return read(found[0]) if found else None

    def progress(self) -> int:
        """How many messages the first producer has sent in the trial that runs."""
        for path in self.tmp.glob("ipclab-trial-*/producer-0.sends"):
            with contextlib.suppress(OSError, struct.error), path.open("rb") as log:
                return int(struct.unpack("<q", log.read(8))[0])
        return 0

    def wait_for(self, moment: Callable[[Lab], bool]) -> None:
        """Return at this moment of the run."""
        deadline = time.monotonic() + DEADLINE_S
        while not moment(self):
            assert self.process.poll() is None, f"ended too early: {self.errors}"
            assert time.monotonic() < deadline, f"never came to this moment: {self.errors}"
            time.sleep(0.005)

    def end(self) -> None:
        """Whatever the test has found, end all of it."""
        for pid in self.everybody() if self.process.poll() is None else ():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Lab]]:
    labs: list[Lab] = []

    def begin(*arguments: str) -> Lab:
        labs.append(Lab(tmp_path, *arguments))
        return labs[-1]

    yield begin
    for lab in labs:
        lab.end()


def starting_a_server(lab: Lab) -> bool:
    return "starting a private" in lab.errors and len(lab.everybody()) > 2


def connecting(lab: Lab) -> bool:
    return any(lab.tmp.glob("ipclab-trial-*/producer-0.stack"))


def within_the_window(lab: Lab) -> bool:
    return lab.progress() > 0


def draining(lab: Lab) -> bool:
    before = lab.progress()
    time.sleep(STEADY_S if before else 0)
    return 0 < before == lab.progress()


def after_two_trials(lab: Lab) -> bool:
    stored = lab.stored()
    return stored is not None and len(stored.trials) >= 2 and within_the_window(lab)


def one_shape(*backends: str, duration_s: float = 20.0) -> list[str]:
    """Arguments for a run of one trial a backend and repeat."""
    chosen = [part for backend in backends for part in ("--backend", backend)]
    shape = ["--producers", "1", "--consumers", "1", "--size", "64", "--window", "1", "--warmup", "0"]
    return ["throughput", *chosen, *shape, "--duration", str(duration_s), "--repeats", "9"]


MOMENTS = [
    pytest.param(starting_a_server, one_shape("rabbitmq"), id="while RabbitMQ starts"),
    pytest.param(starting_a_server, one_shape("redis-list"), id="while Redis starts"),
    pytest.param(connecting, one_shape("faulty:fault=producer hangs"), id="while a worker connects"),
    pytest.param(within_the_window, one_shape("queue"), id="within the window of queue"),
    pytest.param(within_the_window, one_shape("manager-queue"), id="within the window of manager-queue"),
    pytest.param(within_the_window, one_shape("redis-stream"), id="within the window of redis-stream"),
    pytest.param(
        within_the_window,
        [*one_shape("manager-queue"), "--start-method", "spawn"],
        id="within the window of spawned workers",
    ),
    pytest.param(
        within_the_window,
        [*one_shape("queue"), "--start-method", "forkserver"],
        id="within the window of workers of a fork server",
    ),
    pytest.param(draining, one_shape("faulty:fault=drop", duration_s=0.2), id="while a trial drains"),
]


@pytest.mark.parametrize(("moment", "arguments"), MOMENTS)
def test_ctrl_c_ends_all_that_was_started_and_says_so_in_one_line(
    start: Callable[..., Lab], moment: Callable[[Lab], bool], arguments: list[str]
) -> None:
    require_server(*(kind for kind in KINDS if any(kind in part for part in arguments)))
    lab = start(*arguments)
    lab.wait_for(moment)
    everybody = lab.everybody()

    os.killpg(lab.process.pid, signal.SIGINT)

    assert lab.process.wait(DEADLINE_S) == 130
    assert lab.errors.splitlines()[-1] == "ipclab: interrupted; all started processes and brokers are stopped"
    assert "Traceback" not in lab.errors
    assert wait_until_gone(everybody) == set()
    assert not [path for path in lab.state.glob("*") if path.is_dir()]
    assert list(lab.tmp.iterdir()) == []


def test_ctrl_c_keeps_the_finished_trials_in_a_result_that_is_marked_partial(
    start: Callable[..., Lab],
) -> None:
    lab = start(*one_shape("queue", "pipe", duration_s=0.3))
    lab.wait_for(after_two_trials)

    os.killpg(lab.process.pid, signal.SIGINT)

    assert lab.process.wait(DEADLINE_S) == 130
    stored = Store(lab.results).load("latest")
    assert not stored.complete
    assert 2 <= len(stored.trials) < 18
    assert {trial.outcome for trial in stored.trials} == {"finished"}
    (folder,) = lab.results.glob("throughput/*")
    assert (folder / "PARTIAL").exists()
    assert msgspec.json.decode((folder / "result.json").read_bytes())["complete"] is False


def test_being_told_to_end_ends_all_that_was_started(start: Callable[..., Lab]) -> None:
    lab = start(*one_shape("manager-queue"))
    lab.wait_for(within_the_window)
    everybody = lab.everybody()

    lab.process.terminate()

    assert lab.process.wait(DEADLINE_S) == 143
    assert wait_until_gone(everybody) == set()
    assert "Traceback" not in lab.errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT])
@pytest.mark.parametrize("moment", [starting_a_server, within_the_window])
def test_a_burst_of_signals_leaves_nothing_and_the_last_word_is_true(
    start: Callable[..., Lab], moment: Callable[[Lab], bool], number: signal.Signals
) -> None:
    require_server("redis")
    lab = start(*one_shape("redis-list"))
    lab.wait_for(moment)
    everybody = lab.everybody()

    for _ in range(5):
        lab.process.send_signal(number)
        time.sleep(0.02)

    code = lab.process.wait(DEADLINE_S)
    assert lab.errors.splitlines()[-1].endswith("; all started processes and brokers are stopped")
    assert code == 128 + number
    assert "Traceback" not in lab.errors
    assert wait_until_gone(everybody) == set()
    assert not [path for path in lab.state.glob("*") if path.is_dir()]
    assert list(lab.tmp.iterdir()) == []


def test_the_workers_and_servers_of_a_lab_that_is_killed_end_by_themselves(start: Callable[..., Lab]) -> None:
    require_server("redis")
    lab = start(*one_shape("redis-stream", "manager-queue"))
    lab.wait_for(within_the_window)
    everybody = lab.everybody()
    assert len(everybody) >= 5  # itself, two workers, a server, its keeper

    lab.process.kill()

    assert wait_until_gone(everybody - {lab.process.pid}) == set()
    assert not [path for path in lab.state.glob("*") if path.is_dir()]


def test_the_helper_process_of_a_backend_ends_when_the_lab_is_killed(start: Callable[..., Lab]) -> None:
    lab = start(*one_shape("manager-queue"))
    lab.wait_for(within_the_window)
    everybody = lab.everybody()

    lab.process.kill()

    assert wait_until_gone(everybody - {lab.process.pid}) == set()
