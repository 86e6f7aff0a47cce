"""What the system says of a process: at work, asleep, stopped, gone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess

import pytest

from ipclab.host import stillness
from ipclab.host.start_methods import context
from ipclab.host.stillness import Look

pytestmark = pytest.mark.usefixtures("nothing_left")
LOOK_S = 0.3


def work() -> None:
    while True:
        pass


def poll() -> None:
    """As a consumer that polls does."""
    while True:
        time.sleep(0.002)


@pytest.fixture
def started(nothing_left: None) -> Iterator[Callable[[Callable[[], object]], int]]:
    made: list[BaseProcess] = []

    def start(function: Callable[[], object]) -> int:
        process = context("fork").Process(target=function, daemon=True)
        process.start()
        made.append(process)
        assert process.pid is not None
        return process.pid

    yield start
    for process in made:
        process.kill()
        process.join()


def looks(*pids: int) -> tuple[Look, Look]:
    before = Look.at(pids)
    time.sleep(LOOK_S)
    return before, Look.at(pids)


def test_a_process_at_work_is_not_still_even_where_others_are(
    started: Callable[[Callable[[], object]], int],
) -> None:
    before, after = looks(started(signal.pause), started(work))

    assert after.slow_since(before)


def test_of_many_that_share_a_processor_each_is_slow_though_it_hardly_has_one(
    started: Callable[[Callable[[], object]], int],
) -> None:
    crowd = [started(work) for _ in range(12)]
    before, after = looks(crowd[-1])

    assert after.slow_since(before)


@pytest.mark.parametrize("function", [signal.pause, poll])
def test_a_process_that_sleeps_or_polls_is_still(
    function: Callable[[], object], started: Callable[[Callable[[], object]], int]
) -> None:
    pid = started(function)
    deadline = time.monotonic() + 20
    while True:
        before, after = looks(pid)
        if not after.slow_since(before):
            break
        assert time.monotonic() < deadline


def test_a_process_that_is_gone_is_in_no_look(started: Callable[[Callable[[], object]], int]) -> None:
    pid = started(signal.pause)
    os.kill(pid, signal.SIGKILL)

    assert stillness.all_gone([pid])
    assert stillness.gone(pid)
    assert not Look.at([pid]).used_s


def test_a_stopped_process_is_known_and_so_is_one_that_goes_on(
    started: Callable[[Callable[[], object]], int],
) -> None:
    pid = started(signal.pause)
    os.kill(pid, signal.SIGSTOP)
    assert stillness.all_stopped([pid])
    assert stillness.stopped(pid)

    os.kill(pid, signal.SIGCONT)

    assert not stillness.all_stopped([started(signal.pause), pid], within_s=0.05)
    assert not stillness.gone(pid)


def test_nobody_that_does_not_exist_is_stopped_and_all_such_are_gone() -> None:
    child = context("fork").Process(target=int)
    child.start()
    child.join()
    assert child.pid is not None

    assert not stillness.all_stopped([child.pid])
    assert not stillness.stopped(child.pid)
    assert stillness.all_gone([child.pid])


def test_who_waits_for_a_processor_at_both_looks_is_at_work_though_the_system_has_counted_nothing() -> None:
    before = Look(at_s=0.0, used_s={1: 5.0, 2: 5.0, 3: 5.0}, runnable=frozenset({1, 2}))
    after = Look(at_s=0.5, used_s={1: 5.0, 2: 5.0, 3: 5.0}, runnable=frozenset({1, 3}))
    assert after.at_work_since(before) == {1}


def test_a_process_that_works_is_runnable_and_one_that_sleeps_is_not() -> None:
    assert os.getpid() in Look.at([os.getpid()]).runnable
    with subprocess.Popen(["sleep", "600"]) as asleep:
        try:
            # It needs a processor until it has begun to sleep.
            assert any(asleep.pid not in Look.at([asleep.pid]).runnable for _ in range(1000))
        finally:
            asleep.kill()
