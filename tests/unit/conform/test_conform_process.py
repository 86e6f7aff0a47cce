"""A case in a process of its own: whatever the backend does there breaks one promise and nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ipclab.backends import guests
from ipclab.backends.base import Channel, Producer
from ipclab.backends.guests import Address, Guest
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.conform import leftovers, process, suite
from ipclab.conform.outcome import Outcome
from ipclab.host import supervisor
from ipclab.host.supervisor import Child
from tests.support.processes import is_running

Run = Callable[..., Outcome]


class Good(SimpleQueueChannel):
    name = "tried"


class Losing(Good):
    def producer(self, index: int) -> Producer:
        return _Faulty(super().producer(index))


class _Faulty(Producer):
    def __init__(self, inner: Producer) -> None:
        self._inner, self._sent = inner, 0

    def send(self, body: bytes) -> None:
        self._sent += 1
        for _ in range({5: 0, 6: 2}.get(self._sent, 1)):
            self._inner.send(body)


class Ending(Good):
    def setup(self) -> None:
        os._exit(7)


class Raising(Good):
    def setup(self) -> None:
        raise RuntimeError("no\nroom")


class Leaving(Good):
    def teardown(self) -> None:
        sys.exit(3)


class Hanging(Good):
    def teardown(self) -> None:
        time.sleep(1000)


class Parent(Good):
    left: Any = None

    def setup(self) -> None:
        super().setup()
        self.left = subprocess.Popen(["sleep", "1000"])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the case of one promise on a class."""

    def check(kind: type[Channel], promise: str) -> Outcome:
        monkeypatch.setattr(guests, "_guests", {("", ""): Guest(kind, Address("tried.py", "Tried"))})
        (case,) = [c for c in suite.cases([Variant(kind.name)]) if c.promise.name == promise]
        return process.run(case, {}, tmp_path)

    return check


def test_a_kept_promise_is_kept(run: Run) -> None:
    assert run(Good, "any-bytes").verdict == "kept"


def test_what_is_lost_and_what_comes_twice_is_counted(run: Run) -> None:
    found = run(Losing, "once")
    assert (found.verdict, found.backend) == ("broken", "tried")
    # The fifth message of each of three producers is lost, and the sixth comes twice.
    assert found.reason == (
        "3 of 300 messages did not arrive and 3 arrived that were repeated, damaged or never sent"
    )


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Ending, "the process of the check ended with exit code 7"),
        (Raising, "RuntimeError: no room"),
        (Leaving, "SystemExit: it called sys.exit(3)"),
    ],
)
def test_a_backend_that_ends_its_process_breaks_the_promise_in_one_line(
    run: Run, kind: type[Channel], reason: str
) -> None:
    found = run(kind, "any-bytes")
    assert (found.verdict, found.reason) == ("broken", reason)


def test_a_backend_that_hangs_is_ended_and_the_place_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "WITHIN_S", 0.5)
    found = run(Hanging, "teardown")
    assert found.verdict == "broken"
    assert found.reason.startswith("it did not end within 0.5 s: it is hung in ")


def test_a_process_that_is_left_running_breaks_the_promise_and_is_ended(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leftovers, "END_WITHIN_S", 0.2)
    found = run(Parent, "any-bytes")
    assert found.verdict == "broken"
    (pid,) = re.findall(r"left running: sleep 1000 \(pid (\d+)\)", found.reason)
    assert not is_running(int(pid))


class Slow(Good):
    """Notes in ``folder`` that it was set up, and that it was torn down."""

    folder = Path()

    def setup(self) -> None:
        super().setup()
        (self.folder / "set-up").touch()
        time.sleep(1000)

    def teardown(self) -> None:
        (self.folder / "torn-down").touch()


def test_a_case_deletes_what_it_made_when_the_lab_is_interrupted(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Slow, "folder", tmp_path)
    listen = supervisor.listen

    def interrupted(children: list[Child], within_s: float) -> None:
        listen(children, min(within_s, 0.02))
        if (tmp_path / "set-up").exists() and not came:
            came.append(True)
            raise KeyboardInterrupt

    came: list[bool] = []
    monkeypatch.setattr(supervisor, "listen", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(Slow, "any-bytes")
    assert (tmp_path / "torn-down").exists()


def test_a_case_that_cannot_be_checked_here_says_why() -> None:
    case = suite.cases([Variant("redis-list")])[0]
    found = process.undecided(case, "the server is yours")
    assert (found.verdict, found.reason, found.backend) == ("undecided", "the server is yours", "redis-list")
