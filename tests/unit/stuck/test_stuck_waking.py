"""What can wake a thread, decided from facts alone."""

from __future__ import annotations

import pytest

from ipclab.host.stacks import Frame
from ipclab.stuck.facts import Ends, Process, Scene, Semaphore, Thing, Thread, Wait
from ipclab.stuck.finding import report

PIPE = Thing("pipe", "77", "read")
LOCK = Thing("semaphore", "88+0", "release")
MAIN = Frame("/home/user/program.py", 3, "main")
READS = (Frame("/opt/lib/python3.13/multiprocessing/queues.py", 103, "Queue.get"), MAIN)
SLEEPS = Wait("sleep", timed=True)


def process(pid: int, wait: Wait, *, moved: bool = False, stopped: bool = False) -> Process:
    """A process of one thread."""
    return Process(pid, 1, "program", stopped, (Thread(pid, "MainThread", True, READS, moved, wait),))


def scene(*processes: Process, ends: Ends | None = None, semaphore: Semaphore | None = None) -> Scene:
    """A scene with at most one pipe and one semaphore."""
    return Scene(
        (processes[0].pid,),
        {one.pid: one for one in processes},
        {PIPE.key: ends} if ends else {},
        {LOCK.key: semaphore} if semaphore else {},
    )


def why(found: Scene) -> list[tuple[int, str]]:
    """The processes that hang, and why."""
    return [(one.pid, one.why) for one in report(found).findings]


READER = Wait("read", on=(PIPE,))
TAKER = Wait("lock", on=(LOCK,))


def test_processes_that_wait_for_each_other_stand() -> None:
    found = scene(process(1, READER), process(2, TAKER), ends=Ends((1,), (2,)), semaphore=held_by(1))

    assert why(found) == [(1, "all wait"), (2, "all wait")]
    assert report(found).exit_code == 3


@pytest.mark.parametrize(
    "other",
    [process(2, SLEEPS), process(2, READER, moved=True), process(2, Wait("none")), process(2, Wait("other"))],
    ids=["sleeps", "ran", "runs", "unknown"],
)
def test_a_reader_whose_writer_goes_on_does_not_stand(other: Process) -> None:
    assert why(scene(process(1, READER), other, ends=Ends((1,), (1, 2)))) == []


def test_a_reader_whose_writers_are_not_all_known_does_not_stand() -> None:
    assert why(scene(process(1, READER), ends=Ends((1,), (), known=False))) == []
    assert why(scene(process(1, READER), ends=Ends((1,), (9,)))) == []


def test_a_reader_that_is_the_only_writer_stands() -> None:
    assert why(scene(process(1, READER), ends=Ends((1,), (1,)))) == [(1, "nobody")]


def test_a_reader_whose_writer_is_stopped_stands() -> None:
    found = scene(process(1, READER), process(2, SLEEPS, stopped=True), ends=Ends((1,), (1, 2)))

    assert (1, "stopped") in why(found)


def held_by(*pids: int, at_most: int = 1, value: int = 0) -> Semaphore:
    """A semaphore that processes 1 and 2 have."""
    return Semaphore(value, at_most, (1, 2), pids)


def test_a_lock_that_no_living_process_holds_is_not_released_by_one_that_works() -> None:
    found = scene(process(1, TAKER), process(2, SLEEPS), semaphore=held_by())

    assert why(found) == [(1, "no holder")]
    assert report(found).exit_code == 1


def test_a_lock_that_a_slow_process_holds_may_be_released() -> None:
    assert why(scene(process(1, TAKER), process(2, SLEEPS), semaphore=held_by(2))) == []


def test_a_semaphore_may_be_released_by_any_process_that_has_it() -> None:
    assert why(scene(process(1, TAKER), process(2, SLEEPS), semaphore=held_by(at_most=9))) == []


def test_a_semaphore_that_is_free_stops_nobody() -> None:
    assert why(scene(process(1, TAKER), semaphore=held_by(value=1))) == []
