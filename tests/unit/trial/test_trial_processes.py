"""Workers: heard while they live, named when they die, and none outlives the lab."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ipclab.backends.base import Channel, Site
from ipclab.backends.registry import Variant, channel_class
from ipclab.host.clock import now_ns
from ipclab.host.interruptions import sigint_blocked
from ipclab.host.start_methods import StartMethod
from ipclab.trial import rawlog
from ipclab.trial.message import stamp, tail
from ipclab.trial.processes import Crew
from ipclab.trial.spec import TrialSpec
from ipclab.trial.worker import Assignment, Go, OfChannel, consume, receipts_path, sends_path

DEADLINE_S = 20
METHODS: tuple[StartMethod, ...] = ("fork", "spawn", "forkserver")


def eventually(condition: Callable[[], bool]) -> bool:
    """Whether it comes true before the deadline."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def receives(channel: Channel, consumer: Assignment[OfChannel]) -> bool:
    """Whether this consumer logs a message that it is sent."""
    body = stamp(0, 0, 1, tail(consumer.spec.seed, 0, consumer.spec.size_bytes))
    channel.producer(0).send(body)
    log = receipts_path(consumer.logs, consumer.name)
    return eventually(lambda: len(rawlog.read_receipts(log)) == 1)


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def a_consumer(folder: Path, method: StartMethod) -> tuple[Channel, Assignment[OfChannel]]:
    """A consumer of a pipe into which nobody writes, so that it blocks once it was told to go."""
    spec = TrialSpec(workload="stream", backend=Variant("pipe"), start_method=method)
    channel = channel_class(spec.backend)(Site(namespace="ipclab:test", start_method=method))
    channel.setup()
    rawlog.create(receipts_path(folder, "consumer-0"), rawlog.RECEIPT_BYTES, 100)
    rawlog.create(sends_path(folder, "producer-0"), 8, 100)
    part = OfChannel(channel=channel)
    return channel, Assignment(role="consumer", play=consume, index=0, spec=spec, logs=folder, part=part)


def heard(crew: Crew, condition: Callable[[], bool]) -> bool:
    """Listen until it comes true or the deadline passes."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition() and (left_s := deadline - time.monotonic()) > 0:
        crew.listen(left_s)
    return condition()


@pytest.mark.parametrize("method", METHODS)
def test_a_crew_leaves_no_worker_alive(tmp_path: Path, method: StartMethod) -> None:
    channel, assignment = a_consumer(tmp_path, method)
    with Crew(method) as crew:
        member = crew.start(assignment)
        assert heard(crew, lambda: member.ready)
        member.tell(Go(now_ns(), now_ns()))
        pid = member.pid
    assert not psutil.pid_exists(pid)
    channel.teardown()


def test_a_worker_that_is_killed_is_named_with_the_signal(tmp_path: Path) -> None:
    channel, assignment = a_consumer(tmp_path, "fork")
    with Crew("fork") as crew:
        member = crew.start(assignment)
        assert heard(crew, lambda: member.ready)
        os.kill(member.pid, signal.SIGKILL)
        assert heard(crew, lambda: member.ended)
        assert [w.failure for w in crew.failures] == ["consumer-0 was killed by SIGKILL"]
        assert member.settled
        assert not member.tell(Go(0, 0))
    channel.teardown()


def test_a_worker_whose_backend_fails_says_so_in_one_line(tmp_path: Path) -> None:
    spec = TrialSpec(workload="stream", backend=Variant("pipe"))
    never_set_up = channel_class(spec.backend)(Site(namespace="ipclab:test"))
    rawlog.create(receipts_path(tmp_path, "consumer-0"), rawlog.RECEIPT_BYTES, 10)
    with Crew("fork") as crew:
        part = OfChannel(channel=never_set_up)
        member = crew.start(
            Assignment(role="consumer", play=consume, index=0, spec=spec, logs=tmp_path, part=part)
        )
        assert heard(crew, lambda: bool(member.failure))
    assert member.failure == "consumer-0: AssertionError: setup() comes first"
    assert "Traceback" in member.detail


def test_a_worker_that_hangs_shows_where(tmp_path: Path) -> None:
    channel, assignment = a_consumer(tmp_path, "fork")
    with Crew("fork") as crew:
        member = crew.start(assignment)
        assert heard(crew, lambda: member.ready)
        member.tell(Go(now_ns(), now_ns()))
        assert receives(channel, assignment)
        assert "roles.py" in crew.stacks()["consumer-0"]
    channel.teardown()


def test_a_worker_takes_no_notice_of_ctrl_c(tmp_path: Path) -> None:
    channel, assignment = a_consumer(tmp_path, "fork")
    with Crew("fork") as crew:
        member = crew.start(assignment)
        assert heard(crew, lambda: member.ready)
        os.kill(member.pid, signal.SIGINT)
        member.tell(Go(now_ns(), now_ns()))
        assert receives(channel, assignment)
        assert not crew.failures
    channel.teardown()


LAB = """
import sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_trial_processes import a_consumer, heard
from ipclab.trial.processes import Crew
from ipclab.trial.worker import Go

if __name__ == "__main__":
    channel, assignment = a_consumer(Path(sys.argv[1]), sys.argv[2])
    crew = Crew(sys.argv[2])
    member = crew.start(assignment)
    assert heard(crew, lambda: member.ready)
    member.tell(Go(0, 0))
    print(member.pid, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("method", METHODS)
def test_a_worker_ends_by_itself_when_the_lab_is_killed(
    tmp_path: Path, short_folder: Path, method: StartMethod
) -> None:
    program = tmp_path / "lab.py"
    program.write_text(LAB.format(folder=str(Path(__file__).parent)))
    with subprocess.Popen(
        [sys.executable, str(program), str(tmp_path), method],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        # What a killed lab leaves in the folder for temporary files goes with that of the test.
        env=os.environ | {"TMPDIR": str(short_folder)},
    ) as lab:
        assert lab.stdout is not None
        pid = int(lab.stdout.readline())
        assert not gone(pid)
        lab.kill()
    assert eventually(lambda: gone(pid))


def test_ctrl_c_is_put_off_while_processes_start() -> None:
    reached = False
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012 - where it is raised is what is tested
        with sigint_blocked():
            signal.raise_signal(signal.SIGINT)
            reached = True
        pytest.fail("the interruption was swallowed")
    assert reached


def test_a_process_that_starts_meanwhile_never_sees_ctrl_c() -> None:
    with sigint_blocked():
        shown = subprocess.check_output(["cat", "/proc/self/status"], text=True)
    (mask,) = [line.split()[1] for line in shown.splitlines() if line.startswith("SigBlk")]
    assert int(mask, 16) & 1 << signal.SIGINT - 1


def test_what_was_blocked_before_stays_blocked() -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with sigint_blocked():
            pass
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


INTERRUPTED_WHILE_IT_STARTS = """
import os, signal, sys
from pathlib import Path
from ipclab.trial.processes import Crew
from tests.unit.trial.test_trial_processes import a_consumer

_, assignment = a_consumer(Path(sys.argv[1]), "fork")
signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(99))
os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGTERM))
with Crew("fork") as crew:
    try:
        crew.start(assignment)
    except SystemExit:
        print(len(crew.workers))
"""
"""Told to end right after the fork, when the worker is there and nobody knows of it yet."""


def test_a_worker_is_known_to_the_lab_even_where_it_is_told_to_end_while_that_starts(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_WHILE_IT_STARTS, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    assert (ended.stdout, ended.stderr) == ("1\n", "")
