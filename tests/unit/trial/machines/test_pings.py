"""The echoes during a trial: asked at their moments, taken in without a wait."""

from __future__ import annotations

import contextlib
import select

import pytest

from ipclab.host.clock import now_ns
from ipclab.hosts.echo import Answerer, new_token
from ipclab.trial.machines.pings import MOMENTS, Pings

FAR_NS = 10**15


def test_each_machine_is_asked_once_a_moment_and_its_answers_are_kept_by_its_number() -> None:
    token = new_token()
    with contextlib.closing(Answerer(token, "127.0.0.1")) as answerer:
        # All moments are past, so each step asks.
        pings = Pings({7: ("127.0.0.1", answerer.port)}, token, 0, now_ns())
        with contextlib.closing(pings):
            for _ in range(MOMENTS + 3):
                pings.step()
            answered = 0
            while answered < MOMENTS and select.select([answerer], [], [], 10)[0]:
                answered += answerer.answer()
            while len(pings.found[7]) < MOMENTS and select.select(pings.askers, [], [], 10)[0]:
                pings.step()
        assert answerer.answer() == 0
    assert len(pings.found[7]) == MOMENTS
    assert pings.askers == []


def test_nobody_is_asked_before_the_first_moment() -> None:
    token = new_token()
    with contextlib.closing(Answerer(token, "127.0.0.1")) as answerer:
        start_ns = now_ns() + FAR_NS
        with contextlib.closing(
            Pings({7: ("127.0.0.1", answerer.port)}, token, start_ns, start_ns + 1)
        ) as pings:
            pings.step()
        assert answerer.answer() == 0


def test_an_address_without_a_meaning_leaves_no_socket_open() -> None:
    with pytest.raises(OSError, match=r"."):
        Pings({1: ("127.0.0.1", 9), 2: ("name.invalid", 9)}, new_token(), 0, 1)
