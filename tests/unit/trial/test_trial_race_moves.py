"""The rate of a race counts what ended within the window, as that of a counter does."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipclab.history.log import ProcessLog
from ipclab.trial import race_moves
from ipclab.trial.race_moves import READS_A_WRITE, MutexMoves, RegisterMoves


class Clock:
    """Stands still but for what is done: each operation lasts ``step_ns``."""

    def __init__(self, step_ns: int) -> None:
        self.step_ns = step_ns
        self.now_ns = 0
        self.done = 0

    def operate(self, *_: object) -> int:
        self.now_ns += self.step_ns
        self.done += 1
        return 1

    def client(self, *_: object) -> Any:
        instant = {"release": lambda: None}
        timed = dict.fromkeys(("read", "write", "compare_and_set", "acquire"), self.operate)
        return SimpleNamespace(**timed, **instant)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock(10)
    monkeypatch.setattr(race_moves, "now_ns", lambda: found.now_ns)
    return found


@pytest.fixture
def log(tmp_path: Path) -> Any:
    with ProcessLog(tmp_path / "0.log", 0) as found:
        yield found


def register(clock: Clock, log: ProcessLog, *, compares: bool) -> RegisterMoves:
    about = SimpleNamespace(
        name="value",
        client=clock.client,
        held_client=None,
        compares=compares,
        site=SimpleNamespace(producers=1),
    )
    return RegisterMoves(about, 0, log, None)  # type: ignore[arg-type]


@pytest.mark.parametrize("compares", [False, True])
@pytest.mark.parametrize(("end_ns", "ended"), [(5, 0), (10, 0), (11, 1), (55, 5), (80, 7), (81, 8)])
def test_operations_on_a_register_count_where_they_ended_within_the_window(
    clock: Clock, log: ProcessLog, compares: bool, end_ns: int, ended: int
) -> None:
    assert register(clock, log, compares=compares).measure(end_ns) == ended


@pytest.mark.parametrize("compares", [False, True])
def test_a_register_is_left_alone_once_the_window_is_over(
    clock: Clock, log: ProcessLog, compares: bool
) -> None:
    register(clock, log, compares=compares).measure(35)
    assert clock.done == 4


def test_a_register_that_does_not_compare_is_read_several_times_a_write(
    clock: Clock, log: ProcessLog
) -> None:
    about = register(clock, log, compares=False)
    written: list[int] = []
    about._client.write = lambda _: written.append(clock.operate())  # type: ignore[method-assign]
    about.measure(10 * (1 + READS_A_WRITE) * 3 - 5)
    assert len(written) == 3


@pytest.mark.parametrize("fenced", [False, True])
@pytest.mark.parametrize(("end_ns", "ended"), [(20, 0), (21, 1), (60, 2), (61, 3), (75, 3)])
def test_holds_of_a_lock_count_where_they_ended_within_the_window(
    clock: Clock, log: ProcessLog, fenced: bool, end_ns: int, ended: int
) -> None:
    # With a token, half of a hold is the write that it guards.
    clock.step_ns = 10 if fenced else 20
    mutex = SimpleNamespace(name="value", client=clock.client, held_client=None, fenced=fenced)
    assert MutexMoves(mutex, 0, log, None).measure(end_ns) == ended  # type: ignore[arg-type]
