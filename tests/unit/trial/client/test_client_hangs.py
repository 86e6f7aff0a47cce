"""Scenarios of the standard library's primitives that hang: where, and that nothing of them is left."""

from __future__ import annotations

import contextlib
import functools
import gc
import multiprocessing
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from ipclab.backends.base import Site
from ipclab.checks import check
from ipclab.errors import ChannelError
from ipclab.history import read
from ipclab.host.start_methods import StartMethod
from ipclab.trial.client import SCENARIOS, child, processes
from ipclab.trial.client.bench import Bench
from ipclab.trial.client.child import hung
from ipclab.trial.record import TrialRecord
from tests.support.clients import play, safety_of
from tests.support.processes import wait_until_gone

CONNECTION = "Lib/multiprocessing/connection.py, waiting in _recv"
WAITS_IN = {
    "join-undrained": {"program": "join() in Lib/multiprocessing/process.py"},
    "task-not-done": {"program": "join() in Lib/multiprocessing/queues.py, waiting in wait"},
    "lock-owner-killed": {"program": "__enter__() in Lib/multiprocessing/synchronize.py"},
    "manager-lock-owner-killed": {
        "program": "__enter__() in Lib/multiprocessing/managers.py, waiting in _recv"
    },
    "manager-lock-waiter-killed": {
        "program": "__enter__() in Lib/multiprocessing/managers.py, waiting in _recv"
    },
    "flock-owner-killed": {"program": "fcntl.flock(file, fcntl.LOCK_EX) in locks.py"},
    "forked-lock": {"other": "with MODULES_LOCK in locks.py"},
    "event-waiter-killed": {
        "program": "set() in Lib/multiprocessing/synchronize.py, waiting in notify",
        "third": "wait() in Lib/multiprocessing/synchronize.py, waiting in wait",
    },
    "pool-worker-killed": {"program": "get() in Lib/multiprocessing/pool.py, waiting in wait"},
    "pool-callback-raises": {"program": "get() in Lib/multiprocessing/pool.py, waiting in wait"},
    "pool-error-unpicklable": {"program": "get() in Lib/multiprocessing/pool.py, waiting in wait"},
    "pool-task-exits": {"program": "get() in Lib/multiprocessing/pool.py, waiting in wait"},
    "executor-worker-killed-sending": {
        "program": "result() in Lib/concurrent/futures/_base.py, waiting in wait"
    },
    "executor-futures-cancelled": {"program": "wait() in Lib/concurrent/futures/_base.py, waiting in wait"},
    "executor-outlives-program": {
        "worker": "_process_worker() in Lib/concurrent/futures/process.py, waiting in _recv"
    },
    "get-timeout": {"other": "get() in Lib/multiprocessing/queues.py, waiting in _recv"},
    "handler-puts": {"program": "put() in Lib/multiprocessing/queues.py, waiting in __enter__"},
    "joinable-unpicklable": {"program": "join() in Lib/multiprocessing/queues.py, waiting in wait"},
    "reader-of-one-end": {"other": f"recv_bytes() in {CONNECTION}", "third": f"recv_bytes() in {CONNECTION}"},
    "writer-of-one-end": {"third": f"recv_bytes() in {CONNECTION}"},
}
"""By scenario, by process: the primitive, as far as it does not depend on the start method."""
MOMENT_S = 30.0
LATE_S = 1.6
"""How late a process starts that would be taken for one that hangs."""

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nothing_left")]


Played = Callable[[str], tuple[TrialRecord, Path]]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Played:
    """The record of a scenario and its history: it is played when it is first asked for."""
    folder = tmp_path_factory.mktemp("histories")

    @functools.cache
    def once(name: str) -> tuple[TrialRecord, Path]:
        kept = folder / f"{name}.jsonl.gz"
        return play(name, history=kept), kept

    return once


@pytest.mark.parametrize("name", WAITS_IN)
def test_it_hangs_in_its_primitive_and_the_stack_shows_it(name: str, played: Played) -> None:
    record, _ = played(name)

    safety = safety_of(record)
    assert safety.shown, safety.finding
    assert safety.verdict == "valid", "nobody declares that it does not"
    assert safety.hung.keys() == WAITS_IN[name].keys() == record.stuck.keys()
    for process, where in WAITS_IN[name].items():
        assert safety.hung[process].startswith(where)
        assert where in safety.finding
        assert f"in {where.split('(')[0]}" in record.stuck[process] or "locks.py" in where


@pytest.mark.parametrize("name", WAITS_IN)
def test_set_right_it_comes_back(name: str, played: Played) -> None:
    record, _ = played(SCENARIOS[name].fix)

    safety = safety_of(record)
    assert safety.shown is False, safety.finding
    assert safety.verdict == "valid"
    assert not safety.anomalies
    assert not safety.hung
    assert not record.stuck


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
@pytest.mark.parametrize(
    "name", ["join-undrained", "manager-lock-waiter-killed", "forked-lock", "pool-worker-killed"]
)
def test_it_does_not_matter_how_processes_are_started(
    name: str, start_method: StartMethod, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that they can be told from those of other programs.
    monkeypatch.setitem(multiprocessing.current_process()._config, "semprefix", f"/ipclab-{os.getpid()}")  # type: ignore[attr-defined]

    assert safety_of(play(name, start_method=start_method)).hung
    assert safety_of(play(SCENARIOS[name].fix, start_method=start_method)).shown is False

    gc.collect()
    assert not list(Path("/dev/shm").glob(f"sem.ipclab-{os.getpid()}*"))


def test_an_executor_waits_for_a_worker_that_it_counts_for_idle_until_python_3_14(played: Played) -> None:
    safety = safety_of(played("executor-tasks-per-child")[0])

    # The fault was repaired within 3.13, so that both can be there.
    assert safety.shown in {(3, 13): (True, False), (3, 14): (False,)}.get(sys.version_info[:2], (True,))
    assert bool(safety.hung) == safety.shown
    assert not safety.hung or "result()" in safety.hung["program"]


def test_an_executor_without_a_life_of_its_workers_does_all_tasks(played: Played) -> None:
    safety = safety_of(played("executor-tasks-per-child-set-right")[0])

    assert safety.shown is False
    assert (safety.counts["attempted"], safety.counts["received"]) == (3, 3)


def test_a_time_out_that_is_kept_leaves_the_item_for_later(played: Played) -> None:
    safety = safety_of(played("get-timeout-set-right")[0])

    assert "raised Empty" in safety.finding
    assert (safety.counts["attempted"], safety.counts["received"]) == (1, 1)


def test_to_join_a_process_that_has_not_put_yet_is_no_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    put_one = processes._put_one

    def start_late(*args: Any) -> None:
        time.sleep(LATE_S)
        put_one(*args)

    monkeypatch.setattr(processes, "_put_one", start_late)

    safety = safety_of(play("join-undrained"))

    assert safety.hung
    assert safety.counts["attempted"] == 1, "the hang begins when the item has been put"


def test_a_message_that_is_mixed_with_another_is_corrupted_in_the_history(played: Played) -> None:
    record, kept = played("writer-of-one-end")

    safety = safety_of(record)
    assert safety.anomalies == {"corrupted": 1}
    assert check(read(kept)).anomalies == safety.anomalies


def test_what_lies_in_the_pipe_of_a_process_that_hangs_is_not_called_lost(played: Played) -> None:
    record, kept = played("join-undrained")

    assert not safety_of(record).anomalies
    assert check(read(kept)).verdict == "unknown"


def test_the_item_of_a_dead_consumer_is_done_by_another_where_it_is_put_again(played: Played) -> None:
    safety = safety_of(played("task-not-done-set-right")[0])

    assert (safety.counts["attempted"], safety.counts["done"], safety.counts["duplicated"]) == (3, 3, 1)


def test_a_pool_goes_on_but_for_the_task_of_the_dead(played: Played) -> None:
    safety = safety_of(played("pool-worker-killed")[0])

    assert (safety.counts["attempted"], safety.counts["received"]) == (2, 1)


def test_a_callback_that_raises_ends_the_thread_that_takes_in_results(played: Played) -> None:
    safety = safety_of(played("pool-callback-raises")[0])

    assert safety.counts["threads_ended"] == 1
    assert "_handle_results" in safety.finding


def test_python_warns_of_a_fork_with_threads_from_3_12_on(played: Played) -> None:
    as_it_comes, set_right = (safety_of(played(f"forked-lock{end}")[0]) for end in ("", "-set-right"))

    assert bool(as_it_comes.counts["warnings"]) == (sys.version_info >= (3, 12))
    assert set_right.counts["warnings"] == 0


# What is a hang, and what is not.


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with Bench(Site(namespace="ipclab:test", url=None), tmp_path) as bench:
        yield bench


def test_what_works_hard_does_not_hang(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_LOOKS", 2)

    with pytest.raises(ChannelError, match="neither returned nor stood still"):
        hung(bench.start("program", _works), right=False)


def test_what_sleeps_here_and_there_does_not_hang(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "_LOOKS", 3)
    steps = bench.site.context.Semaphore(0)
    program = bench.start("program", _sleeps_here_and_there, steps)
    look = program._look

    def look_and_let_go_on() -> str:
        found = look()
        steps.release()
        bench.until(lambda: steps.get_value() == 0, "the program to go on")
        return found

    monkeypatch.setattr(program, "_look", look_and_let_go_on)

    with pytest.raises(ChannelError, match="neither returned nor stood still"):
        program.hangs(0.0)


def test_what_comes_back_does_not_hang(bench: Bench) -> None:
    assert hung(bench.start("program", _comes_back), right=False) == {}


def test_what_dies_does_not_hang(bench: Bench) -> None:
    with pytest.raises(ChannelError, match="exit code 7"):
        hung(bench.start("program", _dies), right=False)


def test_a_look_leaves_a_process_as_it_is(bench: Bench) -> None:
    program = bench.start("program", _waits_for_its_parent)

    assert program.stands().endswith("waiting in _recv")
    program.tell("go on")

    assert program.result() == "go on"
    assert program.result() == "go on", "a result can be asked for again"


def test_the_start_of_a_process_is_no_time_in_which_it_hangs(bench: Bench) -> None:
    program = bench.start("program", _waits_for_its_parent)
    program.stop()
    waker = multiprocessing.get_context("fork").Process(target=_resume_later, args=(program.pid,))
    waker.start()
    try:
        assert program.stands().endswith("waiting in _recv")
    finally:
        waker.join()


# The end of all.


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize(
    ("name", "processes"),
    [("join-undrained", 2), ("forked-lock", 2), ("pool-worker-killed", 3), ("manager-lock-waiter-killed", 3)],
)
def test_whatever_ends_the_lab_no_process_of_a_scenario_is_left(
    name: str, processes: int, ended_by: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a killed lab leaves in the folder for temporary files goes with that of the test.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lab = multiprocessing.get_context("fork").Process(target=_play_until_interrupted, args=(name,))
    lab.start()
    assert lab.pid is not None
    try:
        of_lab = psutil.Process(lab.pid)
        deadline = time.monotonic() + MOMENT_S
        while len(started := {process.pid for process in of_lab.children(recursive=True)}) < processes:
            assert lab.is_alive(), "ended before the moment came"
            assert time.monotonic() < deadline
        os.kill(lab.pid, ended_by)
        lab.join(MOMENT_S)
        assert lab.exitcode == (130 if ended_by == signal.SIGINT else -signal.SIGKILL)
        assert not wait_until_gone(started)
    finally:
        lab.kill()
        lab.join()


def _play_until_interrupted(name: str) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with contextlib.suppress(KeyboardInterrupt):
        play(name)
        os._exit(1)
    os._exit(130)


def _works(_parent: Connection) -> None:
    while True:
        pass


def _sleeps_here_and_there(_parent: Connection, steps: Any) -> None:
    while True:
        steps.acquire()
        steps.acquire()


def _comes_back(_parent: Connection) -> str:
    return "back"


def _dies(_parent: Connection) -> None:
    os._exit(7)


def _waits_for_its_parent(parent: Connection) -> Any:
    return parent.recv()


def _resume_later(pid: int) -> None:
    while psutil.Process(pid).status() != psutil.STATUS_STOPPED:
        pass
    os.kill(pid, signal.SIGCONT)
