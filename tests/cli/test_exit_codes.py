"""Every exit code by a real cause."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ipclab.results.store import Store
from tests.support.processes import wait_until_gone
from tests.support.program import ONE_TRIAL, PROGRAM, SHORT, TIMEOUT_S, Ipclab, free_port, with_option


@pytest.fixture(autouse=True)
def hangups_end_programs() -> Iterator[None]:
    """Under nohup they are ignored, by the suite and by the programs that it starts."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def test_0_a_run_in_which_every_guarantee_held(ipclab: Ipclab) -> None:
    ended = ipclab(*ONE_TRIAL)
    assert ended.code == 0
    assert "Traceback" not in ended.err


def test_0_an_unsafe_discipline_that_loses_updates_did_what_it_declares(ipclab: Ipclab) -> None:
    ended = ipclab("run", "race", "--backend", "value:discipline=naive", "--producers", "2", *SHORT)
    assert ended.code == 0
    assert "unsafe" in ended.out


def test_1_a_declared_guarantee_was_broken(ipclab: Ipclab, bad_backends: dict[str, str]) -> None:
    ended = ipclab(
        "run", "throughput", "--backend", "lossy", "--producers", "1", "--consumers", "1", "--size", "64",
        *SHORT, **bad_backends,
    )  # fmt: skip
    assert ended.code == 1
    assert "lost 1 confirmed message" in ended.out


def test_2_what_was_asked_for_cannot_be(ipclab: Ipclab) -> None:
    ended = ipclab("run", "round_trip", "--backend", "pipe", "--consumers", "2")
    assert ended.code == 2
    assert ended.out == ""


def test_3_a_verdict_is_unknown_because_the_client_gave_up(
    ipclab: Ipclab, bad_backends: dict[str, str]
) -> None:
    ended = ipclab("run", "round_trip", "--backend", "failing", *SHORT, **bad_backends)
    assert ended.code == 3
    assert "pinger-0: ConnectionError: the other side is gone" in ended.err
    assert "failed" in ended.out
    assert "Traceback" not in ended.err + ended.out


def test_4_a_broker_cannot_be_reached(ipclab: Ipclab) -> None:
    url = f"redis://127.0.0.1:{free_port()}/0"
    ended = ipclab("run", "round_trip", "--backend", "redis-list", *SHORT, REDIS_URL=url)
    assert ended.code == 4
    assert url in ended.line
    assert "start it, or correct or unset REDIS_URL" in ended.line


@contextmanager
def running(here: Path, environ: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The program, at work; what it runs is a process group, as it is for a shell."""
    with subprocess.Popen(
        [PROGRAM, *arguments],
        cwd=here,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as program:
        try:
            yield program
        finally:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGKILL)


def wait_until(condition: Callable[[], bool]) -> None:
    """Return once it is true. Assertion error where that takes too long."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def wait_for_workers(program: subprocess.Popen[str], count: int) -> set[int]:
    """The pids of its workers, once there are so many."""

    def workers() -> set[int]:
        return {process.pid for process in psutil.Process(program.pid).children(recursive=True)}

    wait_until(lambda: program.poll() is not None or len(workers()) >= count)
    assert program.poll() is None, "it ended by itself"
    return workers()


@pytest.mark.parametrize(
    ("number", "code", "told"),
    [
        (signal.SIGINT, 130, "interrupted"),
        (signal.SIGTERM, 143, "stopped by a signal"),
        (signal.SIGHUP, 129, "stopped by a signal"),
        (signal.SIGQUIT, 131, "stopped by a signal"),
    ],
    ids=["ctrl-c", "terminated", "terminal-closed", "quit"],
)
def test_130_an_interruption_keeps_finished_trials_and_ends_every_process(
    ipclab: Ipclab, here: Path, environ: dict[str, str], number: signal.Signals, code: int, told: str
) -> None:
    endless = ("run", "throughput", "--backend", "queue", "--size", "64", "--producers", "1", *SHORT[:4])
    with running(here, environ, *endless, "--repeats", "500") as program:
        workers = wait_for_workers(program, 2)
        store = Store(here / "results")
        wait_until(lambda: bool(store.runs()) and len(store.load("latest").trials) > 1)
        workers |= wait_for_workers(program, 1)
        os.killpg(program.pid, number)
        out, err = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == code
    assert out == ""
    assert "Traceback" not in err
    assert err.splitlines()[-1] == f"ipclab: {told}; all started processes and brokers are stopped"
    assert not wait_until_gone(workers)
    kept = store.load("latest")
    assert not kept.complete
    assert len(kept.trials) > 1
    folder = store.find("latest").parent
    assert (folder / "PARTIAL").exists()
    (said,) = [line for line in err.splitlines() if "partial: " in line]
    assert said.endswith(f" finished trials kept in {folder.relative_to(here)}")
    assert ipclab("show", "latest").code == 0


FORKS_UNDER_A_SIGNAL = """
import os, signal, sys
from ipclab import cli
number = int(sys.argv[1])
cli._run = lambda arguments, debug: fork()
def fork():
    os.register_at_fork(after_in_child=lambda: os.kill(os.getpid(), number))
    pid = os.fork()
    if pid == 0:
        os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) + 100
cli.main([])
"""
"""Told to end before the forked process has even begun, when an exception would be printed and lost."""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_process_that_is_told_to_end_while_it_is_forked_ends_without_a_word(
    tmp_path: Path, environ: dict[str, str], number: signal.Signals
) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FORKS_UNDER_A_SIGNAL, str(int(number))],
        cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=TIMEOUT_S,
    )  # fmt: skip
    assert ended.stderr == ""
    assert ended.returncode == 100 - number


def test_130_an_interruption_before_the_first_trial(
    here: Path, ipclab: Ipclab, environ: dict[str, str]
) -> None:
    with running(here, environ, *with_option(ONE_TRIAL, "--duration", "30")) as program:
        workers = wait_for_workers(program, 2)
        os.killpg(program.pid, signal.SIGINT)
        _, err = program.communicate(timeout=TIMEOUT_S)
    assert program.returncode == 130
    assert "Traceback" not in err
    assert not wait_until_gone(workers)
