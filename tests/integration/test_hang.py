"""What hangs is named the same way from outside, by ``ipclab hang``, as from inside, by the lab."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ipclab.host import supervisor
from ipclab.stuck.finding import Report, report
from ipclab.stuck.look import examine
from ipclab.trial.primitive import name_primitive
from tests.support import slow_programs
from tests.support.clients import play, safety_of

pytestmark = [
    pytest.mark.timeout(90, method="signal"),
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.slow,
]
BETWEEN_S = 0.3
HANGS = (
    "join-undrained",
    "task-not-done",
    "joinable-unpicklable",
    "get-timeout",
    "handler-puts",
    "reader-of-one-end",
    "lock-owner-killed",
    "flock-owner-killed",
    "event-waiter-killed",
    "forked-lock",
    "pool-worker-killed",
    "pool-callback-raises",
    "pool-error-unpicklable",
    "pool-task-exits",
    "executor-worker-killed-sending",
    "executor-futures-cancelled",
    "manager-lock-owner-killed",
    "manager-lock-waiter-killed",
)


class Outsider:
    """Looks at a process from outside right before the lab ends it, and keeps both names of the hang."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._end: Callable[..., str] = supervisor.Child.end_with_stack

    def end_with_stack(self, child: supervisor.Child, *args: Any) -> str:
        """Stand in for the method of the supervisor's child, in the process of the trial."""
        found = report(examine([child.pid], between_s=BETWEEN_S, apart=frozenset({os.getpid()})))
        stack = self._end(child, *args)
        with self._file.open("a") as file:
            file.write(json.dumps([msgspec.json.encode(found).decode(), stack]) + "\n")
        return stack

    def seen(self) -> list[tuple[Report, str]]:
        """Return what was seen of each process: from outside, and its stack from inside."""
        lines = [json.loads(line) for line in self._file.read_text().splitlines()]
        return [(msgspec.json.decode(found, type=Report), stack) for found, stack in lines]


@pytest.fixture
def outsider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Outsider:
    """An outsider that looks at what the lab is about to end."""
    found = Outsider(tmp_path / "seen")
    monkeypatch.setattr(
        supervisor.Child, "end_with_stack", lambda child, *args: found.end_with_stack(child, *args)
    )
    return found


@pytest.mark.parametrize("name", HANGS)
def test_a_hang_has_the_same_name_from_outside_as_from_inside(outsider: Outsider, name: str) -> None:
    assert safety_of(play(name)).hung

    from_outside, stack = outsider.seen()[0]
    (asked,) = [process for process in from_outside.processes if process.asked]
    assert asked.primitive == name_primitive(stack)
    assert name in [hazard.name for one in from_outside.findings for hazard in one.hazards]
    assert from_outside.exit_code == 1


@pytest.fixture
def slow() -> Iterator[dict[str, int]]:
    """The programs that only work or wait, by name, each at the place where it waits."""
    with ExitStack() as stack:
        started = {}
        for program in slow_programs.PROGRAMS:
            command = [sys.executable, slow_programs.__file__, program.__name__]
            one = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            stack.callback(_end, one)
            started[program.__name__] = one
        for one in started.values():
            assert one.stdout is not None
            assert one.stdout.readline() == b"ready\n"
        yield {name: one.pid for name, one in started.items()}


def _end(program: subprocess.Popen[bytes]) -> None:
    program.kill()
    with program:
        pass


def test_no_program_that_works_or_is_slow_is_called_stuck(slow: dict[str, int]) -> None:
    found = report(examine(list(slow.values()), between_s=1.0))

    names = {pid: name for name, pid in slow.items()}
    assert [(names.get(one.pid, one.pid), one.primitive) for one in found.findings] == []
    assert found.exit_code == 0
    assert set(slow.values()) <= set(found.looked_at)
