"""Racers are waited for all at once: the one that fails is named, and not the one that waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipclab.errors import ChannelError
from ipclab.host import hang, supervisor
from ipclab.host.child import Manner
from ipclab.trial.racer import Ready
from ipclab.trial.racers import Racer, Racers

PATIENCE_S = 15.0
SHORT_S = 0.5


def wait_for_ever(link: Any) -> None:
    link.send(Ready(holdable=False, out_of_reach=False))
    link.recv()
    time.sleep(10 * PATIENCE_S)


def fail(link: Any) -> None:
    link.send(Ready(holdable=False, out_of_reach=False))
    link.recv()
    raise ChannelError("the second one failed")


def fail_at_once(_link: Any) -> None:
    raise ChannelError("the second one failed")


def work_before(message: object) -> Callable[[Any], None]:
    def role(link: Any) -> None:
        until_s = time.monotonic() + 3 * SHORT_S
        while time.monotonic() < until_s:
            pass
        if message is not None:
            link.send(message)
            link.recv()

    return role


def racers_of(folder: Path, *roles: Callable[[Any], None], patience_s: float = PATIENCE_S) -> Racers:
    racers = Racers(SimpleNamespace(), folder, patience_s=patience_s)  # type: ignore[arg-type]
    for index, role in enumerate(roles):
        name = f"process {index}"
        manner = Manner(name=f"process-{index}", folder=folder)
        child = supervisor.start("fork", manner, role, ())
        racers._all.append(Racer(name, child))
    return racers


def test_the_racer_that_fails_is_named_and_not_the_first_that_is_waited_for(tmp_path: Path) -> None:
    with racers_of(tmp_path, wait_for_ever, fail) as racers:
        racers._all_settled(racers._all)
        with pytest.raises(ChannelError, match="process 1: the second one failed"):
            racers.run(racers._all, 0, 1)


def test_the_racer_that_fails_while_all_leave_is_named(tmp_path: Path) -> None:
    with (
        racers_of(tmp_path, wait_for_ever, fail_at_once) as racers,
        pytest.raises(ChannelError, match="process 1: the second one failed"),
    ):
        racers.leave()


@pytest.mark.usefixtures("looks_briefly")
def test_a_racer_that_is_at_work_is_slow_and_does_not_hang(tmp_path: Path) -> None:
    ready = Ready(holdable=False, out_of_reach=False)
    with racers_of(tmp_path, work_before(ready), patience_s=SHORT_S) as racers:
        racers._all_settled(racers._all)
        assert [one.state for one in racers._all] == ["done"]


@pytest.mark.usefixtures("looks_briefly")
def test_a_racer_that_closes_slowly_is_waited_for(tmp_path: Path) -> None:
    with racers_of(tmp_path, work_before(None), patience_s=SHORT_S) as racers:
        racers.leave()
        assert all(one.child.ended for one in racers._all)


@pytest.mark.usefixtures("looks_briefly")
def test_a_racer_that_stands_still_is_told_where(tmp_path: Path) -> None:
    with racers_of(tmp_path, wait_for_ever) as racers:
        racers._all_settled(racers._all)
        racers._all[0].begin("read")
        racers._patience_s = SHORT_S
        with pytest.raises(ChannelError, match=r"process 0 did not return within 0\.5 s: it hung in "):
            racers._all_settled(racers._all)


@pytest.fixture
def looks_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hang, "LOOK_S", 0.2)


def spin(link: Any) -> None:
    link.send(Ready(holdable=False, out_of_reach=False))
    link.recv()
    while True:
        pass


@pytest.mark.usefixtures("looks_briefly")
def test_a_racer_that_never_ends_its_work_is_slow_and_did_not_hang(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hang, "SLOW_AT_MOST_S", 0.5)
    with racers_of(tmp_path, spin) as racers:
        racers._all_settled(racers._all)
        racers._patience_s = SHORT_S
        with pytest.raises(ChannelError, match="it is slow and did not hang"):
            racers.run(racers._all, 0, 1)
