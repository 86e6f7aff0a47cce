"""The process of a trial: a hang or a crash of a backend outside of its workers is a result, its side effects
end with the trial, and the lab stays the master of its broker."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psutil
import pytest

from ipclab.backends import registry
from ipclab.backends.base import Producer
from ipclab.backends.local.queue import QueueChannel
from ipclab.backends.registry import Variant
from ipclab.brokers.base import Broker, Usage
from ipclab.errors import UnknownNameError, UsageError
from ipclab.host.interruptions import EndedBySignal, ending_blocked
from ipclab.host.surroundings import Surroundings, end_descendants
from ipclab.trial import inside, ordered_end, outside
from ipclab.trial.borrowed import BorrowedBroker
from ipclab.trial.phases import watched
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec
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


class NotOurs(Broker):
    """Writes down who called it."""

    provider = "native"

    def __init__(self) -> None:
        super().__init__("redis", "redis://127.0.0.1:1", "7", ours=True, where="pid 1")
        self.calls: list[tuple[str, int]] = []

    def _note(self, name: str) -> None:
        self.calls.append((name, os.getpid()))

    def usage(self) -> Usage | None:
        self._note("usage")
        return Usage(1.5, None)

    def alive(self) -> bool:
        return True

    def pause(self) -> None:
        raise UsageError("not this one")

    def resume(self) -> None:
        self._note("resume")

    def kill(self) -> None:
        self._note("kill")

    def shut_down(self) -> None:
        self._note("shut_down")

    def restart(self) -> None:
        self._note("restart")
        self.where = "pid 2"

    def execute(self, *command: str, timeout_s: float = 1.0) -> str:
        self._note("execute")
        return " ".join(command)

    def stop(self) -> None:
        self._note("stop")


def use_the_broker(job: inside.Job) -> TrialRecord:
    broker = job.broker
    assert isinstance(broker, BorrowedBroker)
    assert broker.usage() == Usage(1.5, None)
    broker.restart()
    said = [broker.where, broker.execute("a", "b"), str(broker.alive())]
    try:
        broker.pause()
    except UsageError as error:
        said.append(str(error))
    return a_record(job, reason=", ".join(said))


def a_record(job: inside.Job, reason: str = "") -> TrialRecord:
    return TrialRecord(spec=job.spec, began_utc="", outcome="failed", reason=reason)


def a_job(folder: Path, broker: Broker | None = None) -> inside.Job:
    from ipclab.backends.base import Site

    spec = TrialSpec(workload="stream", backend=Variant("hostile"))
    return inside.Job(
        spec=spec, site=Site(namespace="ipclab:unit"), folder=folder, broker=broker, history=None
    )


def test_what_is_done_to_a_broker_is_done_by_the_lab_itself(tmp_path: Path) -> None:
    broker = NotOurs()
    job = a_job(tmp_path, broker)

    record = outside.run(job, use_the_broker, a_record(job))

    assert record.reason == "pid 2, a b, True, not this one"
    assert broker.calls == [(name, os.getpid()) for name in ("usage", "restart", "execute")]


class Interrupted(NotOurs):
    """The lab is told to end while it does the first ``revive()``."""

    def revive(self) -> None:
        self._note("revive")
        if len(self.calls) == 1:
            raise KeyboardInterrupt


def test_a_trial_restores_what_it_changed_when_the_lab_ends_in_the_middle_of_its_question(
    tmp_path: Path,
) -> None:
    restored, broker = tmp_path / "restored", Interrupted()

    def restore(job: inside.Job) -> TrialRecord:
        assert job.broker is not None
        with ending_blocked():
            job.broker.revive()
            restored.write_text("yes")
        return a_record(job)

    job = a_job(tmp_path, broker)
    with pytest.raises(KeyboardInterrupt):
        outside.run(job, restore, a_record(job))

    assert broker.calls == [("revive", os.getpid())] * 2
    assert restored.exists()


def test_what_cannot_be_carried_out_is_raised_in_the_lab_with_its_class(tmp_path: Path) -> None:
    def refuse(job: inside.Job) -> TrialRecord:
        raise UnknownNameError("option", "sise", ["size"])

    job = a_job(tmp_path)
    with pytest.raises(UsageError, match="no option is called 'sise'; did you mean size"):
        outside.run(job, refuse, a_record(job))


def test_an_order_to_end_is_no_error_of_the_backend() -> None:
    with pytest.raises(EndedBySignal), watched("setup()"):
        raise EndedBySignal(signal.SIGTERM)


class TellsToEnd:
    """Is told to end while it is finalized, where Python swallows every exception."""

    def __del__(self) -> None:
        signal.raise_signal(signal.SIGTERM)


def test_an_order_to_end_within_a_finalizer_is_given_again_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pid = os.fork()
    if not pid:
        try:
            inside.settle()
            TellsToEnd()
            time.sleep(10)
        except EndedBySignal:
            os._exit(5)
        finally:
            os._exit(7)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 5
    assert capfd.readouterr().err == ""


def test_no_fork_server_of_a_trial_can_start_a_process_after_its_end() -> None:
    pid = os.fork()
    if not pid:
        code = 7
        try:
            inside.settle()
            multiprocessing.get_context("forkserver").Process(target=int).start()
            server = psutil.Process(forkserver._forkserver._forkserver_pid)  # type: ignore[attr-defined]
            end_descendants(os.getpid())
            code = 7 if server.is_running() else 0
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0


def _say_and_wait(said: Connection) -> None:
    said.send(True)
    time.sleep(60)


def test_a_process_that_a_backend_forked_ends_by_the_signal_and_prints_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    pid = os.fork()
    if not pid:
        inside.settle()
        chosen = multiprocessing.get_context("fork")
        ours, theirs = chosen.Pipe()
        child = chosen.Process(target=_say_and_wait, args=(theirs,))
        child.start()
        # CPython drops a signal that comes before a forked process runs Python again.
        ours.recv()
        child.terminate()
        child.join()
        os._exit(0 if child.exitcode == -signal.SIGTERM else 7)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert capfd.readouterr().err == ""


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
