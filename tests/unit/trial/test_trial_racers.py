"""Racers are waited for all at once: the one that fails is named, and not the one that waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ipclab.errors import ChannelError
from ipclab.host import supervisor
from ipclab.host.child import Manner
from ipclab.trial.racer import Ready
from ipclab.trial.racers import Racer, Racers

PATIENCE_S = 15.0


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


def racers_of(folder: Path, *roles: Callable[[Any], None]) -> Racers:
    racers = Racers(SimpleNamespace(), folder, patience_s=PATIENCE_S)  # type: ignore[arg-type]
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
