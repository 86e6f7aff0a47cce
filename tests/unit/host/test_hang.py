"""Hung or slow: the one definition, with everything that it looks at forced."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable

import pytest

from ipclab.host import hang
from ipclab.host.stillness import Look


def waiting(until: Callable[[], bool], seconds: float) -> bool:
    time.sleep(0.001)
    return until()


def never() -> bool:
    return False


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang, "LOOK_S", 0.01)


def test_what_comes_has_come() -> None:
    assert hang.outlast(waiting, lambda: True, within_s=0.0) == "came"


def test_nobody_who_gets_on_and_nobody_at_work_is_a_hang() -> None:
    assert hang.outlast(waiting, never, within_s=0.02, pids=lambda: [os.getppid()]) == "hung"


def test_who_gets_on_is_not_hung_however_long_it_takes() -> None:
    steps = itertools.count()
    came = iter([False] * 200 + [True] * 10)

    assert hang.outlast(waiting, lambda: next(came), within_s=0.001, progress=lambda: next(steps)) == "came"


def test_who_gets_on_for_longer_than_there_is_time_is_slow() -> None:
    steps = itertools.count()
    assert (
        hang.outlast(waiting, never, within_s=0.001, progress=lambda: next(steps), at_most_s=0.05) == "slow"
    )


def test_who_is_at_work_without_progress_is_slow_and_not_hung(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Look, "slow_since", lambda self, before: True)
    assert hang.outlast(waiting, never, within_s=0.01, slow_at_most_s=0.05) == "slow"


def test_a_process_rests_where_two_looks_find_it_asleep_in_the_same_place() -> None:
    looks = iter(["a", "b", "c", "c"])
    assert hang.place_of_rest(lambda: next(looks), lambda _: False) == "c"


def test_a_process_that_comes_back_between_two_looks_does_not_rest() -> None:
    come = iter([False, True])
    assert hang.place_of_rest(lambda: "a", lambda _: next(come)) == ""


def test_a_process_that_runs_at_every_look_does_neither() -> None:
    assert hang.place_of_rest(lambda: "", lambda _: False) is None


def test_who_has_a_processor_is_at_work_and_who_sleeps_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang, "LOOK_S", 0.2)
    with (
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) as working,
        subprocess.Popen(["sleep", "600"]) as asleep,
    ):
        try:
            # Until the interpreter is there.
            assert any(hang.at_work([working.pid, asleep.pid]) for _ in range(50))
            assert not hang.at_work([asleep.pid])
        finally:
            working.kill()
            asleep.kill()
