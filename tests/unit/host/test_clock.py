"""The clock self-test: it agrees on a sound machine, and catches a clock that lies."""

from __future__ import annotations

import multiprocessing
import os
import time
from multiprocessing.connection import Connection

import pytest

from ipclab.errors import ClockError
from ipclab.host import clock
from ipclab.host.start_methods import StartMethod

needs_fork = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(),
    reason="a patched clock reaches forked workers only",
)


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_two_processes_of_a_host_agree_about_the_time(start_method: StartMethod) -> None:
    if start_method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"this platform has no {start_method}")
    found = clock.self_test(start_method, rounds=20)
    assert found.rounds == 20
    assert found.offset_bound_ns > 0
    assert found.step_ns > 0


@needs_fork
@pytest.mark.parametrize("offset_ns", [-(10**9), 10**9], ids=["behind", "ahead"])
def test_a_clock_that_is_off_in_the_other_process_is_caught(
    monkeypatch: pytest.MonkeyPatch, offset_ns: int
) -> None:
    here = os.getpid()

    def lying() -> int:
        return time.perf_counter_ns() + (0 if os.getpid() == here else offset_ns)

    monkeypatch.setattr(clock, "now_ns", lying)
    with pytest.raises(ClockError, match=r"disagree about the time.*latencies cannot be measured") as caught:
        clock.self_test("fork", rounds=3)
    assert caught.value.exit_code == 3


@needs_fork
def test_a_clock_that_jumps_in_the_last_round_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    here, readings = os.getpid(), iter(range(10**6))

    def jumping() -> int:
        late = os.getpid() != here and next(readings) == 4
        return time.perf_counter_ns() + (10**9 if late else 0)

    monkeypatch.setattr(clock, "now_ns", jumping)
    with pytest.raises(ClockError):
        clock.self_test("fork", rounds=5)


def test_the_self_test_leaves_no_process_behind() -> None:
    before = set(multiprocessing.active_children())
    clock.self_test("fork", rounds=1)
    assert set(multiprocessing.active_children()) == before


def _answer_alone(ours: Connection, theirs: Connection) -> None:
    ours.close()
    clock._answer(theirs, 3)


def test_the_other_process_ends_in_silence_when_the_lab_has_gone(capfd: pytest.CaptureFixture[str]) -> None:
    chosen = multiprocessing.get_context("fork")
    ours, theirs = chosen.Pipe()
    process = chosen.Process(target=_answer_alone, args=(ours, theirs))
    process.start()
    theirs.close()
    ours.close()
    process.join(60)
    assert process.exitcode == 0
    assert capfd.readouterr().err == ""
