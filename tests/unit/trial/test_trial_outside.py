"""The process of a trial: a hang or a crash of a backend outside of its workers is a result, and its side
effects end with the trial."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ipclab.backends import registry
from ipclab.backends.base import Producer
from ipclab.backends.local.queue import QueueChannel
from ipclab.host.interruptions import EndedBySignal
from ipclab.host.surroundings import Surroundings
from ipclab.trial import ordered_end, outside
from tests.support.hostile import run
from tests.support.processes import crash, wait_until_gone

pytestmark = [pytest.mark.timeout(120, method="signal"), pytest.mark.usefixtures("nothing_left")]
MARK = "import time; time.sleep(600)  # left by a backend"


class Hostile(QueueChannel):
    """Does ``in_setup`` and ``in_teardown``, which a test sets on the class."""

    name = "hostile"
    in_setup: Callable[[], object] = staticmethod(lambda: None)
    in_teardown: Callable[[], object] = staticmethod(lambda: None)
    in_close: Callable[[], object] = staticmethod(lambda: None)
    in_producer: Callable[[], object] = staticmethod(lambda: None)

    def setup(self) -> None:
        super().setup()
        type(self).in_setup()

    def teardown(self) -> None:
        super().teardown()
        type(self).in_teardown()

    def producer(self, index: int) -> Producer:
        type(self).in_producer()
        return super().producer(index)


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    every = {**registry._channels(), Hostile.name: Hostile}
    monkeypatch.setattr(registry, "_channels", lambda: every)
    monkeypatch.setattr(outside, "CALL_AT_LEAST_S", 0.5)


@pytest.fixture
def hostile(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def become(**calls: Callable[[], object]) -> None:
        for name, call in calls.items():
            monkeypatch.setattr(Hostile, name, staticmethod(call))

    return become


def hang() -> None:
    threading.Event().wait()


def join_what_is_never_done() -> None:
    queue = multiprocessing.get_context("fork").JoinableQueue()
    queue.put(1)
    queue.join()


def test_a_setup_that_hangs_is_a_result_with_its_place(hostile: Callable[..., None]) -> None:
    hostile(in_setup=hang)
    record = run(grace_s=0.5)
    assert record.outcome == "hung"
    assert record.reason.startswith("setup() of hostile did not return within 0.5 s: it hung in ")
    assert record.reason.endswith("Event.wait (condition)")
    assert "in wait" in record.stuck["setup()"]


@pytest.mark.slow
def test_a_teardown_that_hangs_is_a_result_and_loses_nothing_that_was_found(
    hostile: Callable[..., None],
) -> None:
    hostile(in_teardown=join_what_is_never_done)
    record = run(grace_s=2.0)
    assert record.outcome == "hung"
    assert "teardown() of hostile did not return within 2 s: it hung in JoinableQueue.join" in record.reason
    assert record.ledger is not None
    assert record.window_s > 0


@pytest.mark.parametrize("workload", ["stream", "order"])
@pytest.mark.parametrize("call", ["in_setup", "in_teardown"])
@pytest.mark.parametrize(
    ("ends", "says"),
    [
        (lambda: os._exit(7), "its process ended with exit code 7"),
        (lambda: os._exit(0), "its process ended with exit code 0"),
        (crash, "its process was killed by SIGSEGV"),
    ],
)
def test_a_backend_that_ends_the_process_fails_its_trial(
    hostile: Callable[..., None], workload: str, call: str, ends: Callable[[], object], says: str
) -> None:
    hostile(**{call: ends})
    record = run(workload)
    assert record.outcome == "failed"
    assert record.reason.startswith(f"{call.removeprefix('in_')}() of hostile: {says}")


@pytest.mark.parametrize("workload", ["stream", "order"])
@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()])
def test_a_backend_that_exits_in_setup_fails_its_trial(
    hostile: Callable[..., None], workload: str, error: BaseException
) -> None:
    def leave() -> None:
        raise error

    hostile(in_setup=leave)
    record = run(workload)
    assert record.outcome == "failed"
    assert f"setup() raised {type(error).__name__}" in record.reason


def contaminate() -> None:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    os.nice(3)
    os.chdir("/")
    os.umask(0o007)
    signal.signal(signal.SIGHUP, lambda *_: None)
    threading.Thread(target=hang, name="busybody").start()
    subprocess.Popen([sys.executable, "-c", MARK])


@pytest.mark.skipif(sys.platform != "linux", reason="affinity and adoption are Linux's")
def test_what_a_backend_does_to_its_process_ends_with_the_trial_and_is_named(
    hostile: Callable[..., None],
) -> None:
    before = Surroundings.now()
    hostile(in_setup=contaminate)

    record = run()

    assert Surroundings.now() == before
    assert record.outcome == "finished"
    effects = "\n".join(record.side_effects)
    assert f"changed the nice value of its process from {os.nice(0)} to {os.nice(0) + 3}" in effects
    assert "changed the working folder of its process to /" in effects
    assert "changed the umask of its process" in effects
    assert "changed the handler of SIGHUP in its process" in effects
    assert "left a non-daemon thread running in its process: busybody" in effects
    assert "left a process running, which was ended: " in effects
    if len(before.affinity) > 1:
        assert "changed the CPU affinity of its process" in effects
    assert not [p for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or ())]


def stop_the_clocks() -> None:
    time.monotonic = lambda: 0.0
    time.perf_counter_ns = lambda: 5
    time.sleep = lambda _: None


@pytest.mark.parametrize("workload", ["stream", "order"])
def test_a_backend_that_replaces_the_clocks_is_measured_by_the_real_ones(
    hostile: Callable[..., None], workload: str
) -> None:
    hostile(in_setup=stop_the_clocks)
    record = run(workload)
    assert record.outcome == "finished"
    for name in ("monotonic", "perf_counter_ns", "sleep"):
        assert f"replaced time.{name} in its process; the lab undid that" in record.side_effects


def test_a_clean_backend_has_no_side_effects() -> None:
    assert run().side_effects == []


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere an orphan cannot be found")
def test_a_process_that_a_worker_leaves_behind_is_named_and_ended_and_the_worker_is_not_hung(
    hostile: Callable[..., None],
) -> None:
    hostile(in_producer=lambda: subprocess.Popen([sys.executable, "-c", MARK], close_fds=False))

    record = run(grace_s=5.0)

    assert (record.outcome, record.reason) == ("finished", "")
    assert len(record.side_effects) == 1
    assert "left a process running, which was ended: " in record.side_effects[0]
    assert not [p for p in psutil.process_iter(["cmdline"]) if MARK in (p.info["cmdline"] or ())]


def start_a_child() -> None:
    child = multiprocessing.get_context("fork").Process(target=int)
    child.start()
    child.join()


def test_a_worker_may_start_a_child(hostile: Callable[..., None]) -> None:
    hostile(in_producer=start_a_child)
    assert (run().outcome, run().side_effects) == ("finished", [])


@pytest.mark.parametrize("error", [KeyboardInterrupt, EndedBySignal])
@pytest.mark.parametrize("call", ["in_setup", "in_teardown"])
def test_an_interruption_ends_a_trial_whose_backend_hangs(
    hostile: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    call: str,
    error: type[BaseException],
) -> None:
    entered = tmp_path / "entered"

    def note_and_hang() -> None:
        entered.write_text(str(os.getpid()))
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        hang()

    hostile(**{call: note_and_hang})
    monkeypatch.setattr(ordered_end, "END_WITHIN_S", 0.3)
    listen = outside._Trial._listen

    def interrupted(trial: Any, within_s: float) -> None:
        listen(trial, min(within_s, 0.05))
        if entered.exists() and entered.read_text() and not monkeypatch_done:
            monkeypatch_done.append(True)
            raise error() if error is KeyboardInterrupt else error(signal.SIGTERM)

    monkeypatch_done: list[bool] = []
    monkeypatch.setattr(outside._Trial, "_listen", interrupted)
    with pytest.raises(error):
        run(grace_s=60.0)
    assert wait_until_gone({int(entered.read_text())}) == set()


def test_what_a_backend_prints_is_not_in_the_output_of_the_lab(
    hostile: Callable[..., None], capfd: pytest.CaptureFixture[str]
) -> None:
    def say(words: str) -> None:
        sys.stdout.write(words)
        sys.stdout.flush()
        os.write(1, words.encode())

    hostile(in_setup=lambda: say("set up"), in_producer=lambda: say("connected"))
    run()
    assert capfd.readouterr().out == ""


def test_a_manager_that_is_not_shut_down_does_not_outlive_the_trial(hostile: Callable[..., None]) -> None:
    kept: list[object] = []
    hostile(in_setup=lambda: kept.append(multiprocessing.get_context("fork").Manager()))
    assert run().outcome == "finished"
