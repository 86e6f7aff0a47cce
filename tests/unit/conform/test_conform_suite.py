"""The list of promises, and which backends make them."""

from __future__ import annotations

import pytest

from ipclab.backends.registry import Variant, channel_names, counter_names, is_own
from ipclab.conform import suite
from ipclab.conform.modes import Mode
from ipclab.errors import UnknownNameError


def test_each_promise_has_a_name_and_a_sentence_of_its_own() -> None:
    for field in ("name", "sentence"):
        found = [getattr(promise, field) for promise in suite.PROMISES]
        assert len(set(found)) == len(found)


def test_every_backend_of_the_lab_makes_promises_and_every_promise_but_one_is_made_by_one() -> None:
    cases = suite.cases([Variant(name) for name in {*channel_names(), *counter_names()} if is_own(name)])
    names = {c.subject.variant.name if isinstance(c.subject, Mode) else c.subject.name for c in cases}
    assert names == {name for name in {*channel_names(), *counter_names()} if is_own(name)}
    never = {promise.name for promise in suite.PROMISES} - {case.promise.name for case in cases}
    # An unsafe counter of the lab is made to lose by force.
    assert never <= {"loss-under-load", "fan-out", "helper-killed"}


def test_a_channel_with_a_window_is_checked_with_and_without_it() -> None:
    windows = {
        case.subject.window
        for case in suite.cases([Variant("redis-list")])
        if case.promise.name == "once" and isinstance(case.subject, Mode)
    }
    assert windows == {1, 10}


def test_options_that_are_set_leave_one_mode() -> None:
    cases = suite.cases([Variant.parse("rabbitmq:ack=manual,confirm=publisher,delivery=persistent")])
    found = {str(case.subject) for case in cases if case.promise.about == "mode"}
    assert {text.removesuffix(",window=10") for text in found} == {
        "rabbitmq:ack=manual,confirm=publisher,delivery=persistent"
    }


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(UnknownNameError, match="did you mean redis-stream"):
        suite.cases([Variant("redis-steam")])
