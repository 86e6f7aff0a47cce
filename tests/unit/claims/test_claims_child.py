"""A watched child: what became of it, and where it is stuck if it hangs."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ipclab.claims import Bench, Child
from ipclab.claims.child import ExperimentError, frames, place
from ipclab.host.start_methods import StartMethod

EACH_START_METHOD = pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])


class Started:
    """A bench whose children are ended after the test."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder)
        self.children: list[Child] = []

    def __call__(self, *args: object, method: StartMethod | None = None) -> Child:
        child = self.bench.start(*args, method=method)  # type: ignore[arg-type]
        self.children.append(child)
        return child


@pytest.fixture
def start(tmp_path: Path, nothing_left: None) -> Iterator[Started]:
    started = Started(tmp_path)
    yield started
    for child in started.children:
        child.kill()


@EACH_START_METHOD
def test_a_child_hands_over_what_its_function_returned(start: Started, method: StartMethod) -> None:
    assert start(divmod, 7, 2, method=method).result() == (3, 1)


@EACH_START_METHOD
def test_a_hang_is_told_with_the_place(start: Started, method: StartMethod) -> None:
    lock = multiprocessing.get_context(method).Lock()
    lock.acquire()
    fate = start(lock.__enter__, method=method).watch(0.3)
    assert fate.hung
    assert fate.stuck_in.startswith("Lib/multiprocessing/synchronize.py:")
    assert fate.stuck_in.endswith("__enter__")


def test_a_function_of_c_is_told_by_its_name(start: Started) -> None:
    lock = multiprocessing.get_context("fork").Lock()
    lock.acquire()
    assert start(lock.acquire).watch(0.2).stuck_in == "SemLock.acquire"


class Unshowable:
    """Whose repr() must not be asked for: that of an Event waits for its lock."""

    def __repr__(self) -> str:
        raise AssertionError

    def __call__(self) -> int:
        return 7


def test_a_function_is_not_shown_to_name_it(start: Started) -> None:
    assert start(Unshowable()).result() == 7


def test_a_hung_child_is_left_alone_and_may_still_return(start: Started) -> None:
    event = multiprocessing.get_context("fork").Event()
    child = start(event.wait)
    assert child.watch(0.2).hung
    event.set()
    assert child.result() is True


def test_a_child_that_computes_for_long_is_not_called_hung(start: Started) -> None:
    with pytest.raises(ExperimentError, match="neither ended nor stood still"):
        start(_compute).watch(0.05)


def _compute() -> None:
    while True:
        pass


def test_what_a_child_raises_is_told(start: Started) -> None:
    fate = start(int, "three").watch()
    assert fate.outcome == "raised"
    assert fate.error == "ValueError: invalid literal for int() with base 10: 'three'"


def test_what_killed_a_child_is_told(start: Started) -> None:
    child = start(threading.Event().wait)
    child.kill()
    fate = child.watch()
    assert (fate.outcome, fate.error) == ("died", "killed by SIGKILL")


def test_a_child_that_leaves_without_a_word_has_died(start: Started) -> None:
    fate = start(os._exit, 3).watch()
    assert (fate.outcome, fate.error) == ("died", "ended with exit code 3")


def test_a_result_that_does_not_come_fails_the_experiment(start: Started) -> None:
    with pytest.raises(ExperimentError, match=r"hung: Lib/threading\.py"):
        start(threading.Event().wait).result(0.2)


def test_a_stopped_child_goes_on_when_it_is_resumed(start: Started) -> None:
    event = multiprocessing.get_context("fork").Event()
    child = start(event.wait)
    child.watch(0.1)
    child.stop()
    start.bench.until(lambda: psutil.Process(child.pid).status() == "stopped", "the stop")
    child.resume()
    event.set()
    assert child.result() is True


def test_only_the_stack_of_the_thread_that_was_asked_counts() -> None:
    library = Path(os.__file__).parent
    dump = (
        "Thread 0x1 (most recent call first):\n"
        f'  File "{library}/queue.py", line 7 in get\n'
        "\n"
        "Current thread 0x2 (most recent call first):\n"
        f'  File "{library}/threading.py", line 320 in wait\n'
        '  File "/somewhere/claims/event.py", line 12 in sleeper\n'
    )
    assert frames(dump) == ["Lib/threading.py:320 wait", "event.py:12 sleeper"]
    assert place(frames(dump)) == "Lib/threading.py:320 wait ← event.py:12 sleeper"


def test_without_a_stack_there_is_no_place() -> None:
    assert place(frames("")) == ""


def test_a_second_bench_may_have_the_same_folder(start: Started) -> None:
    assert start(divmod, 7, 2).result() == (3, 1)
    start.bench = Bench(start.bench.folder)
    assert start(divmod, 9, 2).result() == (4, 1)


def test_a_condition_that_is_never_met_fails_the_experiment(tmp_path: Path) -> None:
    with pytest.raises(ExperimentError, match=r"gave up after waiting 0 s for a miracle"):
        Bench(tmp_path).until(lambda: False, "a miracle", within_s=0.05)


def test_the_timeline_has_the_words_of_all_processes_and_threads_in_order(start: Started) -> None:
    timeline = start.bench.timeline
    timeline("first")
    start(timeline, "second").result()
    thread = threading.Thread(target=timeline, args=("third",), name="helper")
    thread.start()
    thread.join()
    events = timeline.events()
    assert [event.what for event in events] == ["first", "second", "third"]
    assert [event.who for event in events] == ["main", "child-1", "main/helper"]
    assert [event.at_s for event in events] == sorted(event.at_s for event in events)
