"""Verdicts on sharing data are read off the evidence: the opposite of what is usual turns them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ipclab.claims import catalogue
from tests.support.evidence import changed, rows_of, verdict_of

HUNG = {"outcome": "hung", "stuck_in": "Lib/multiprocessing/connection.py:1 _recv"}
BACK = {"outcome": "returned"}
NONE = {"k": 0, "n": 6}
WRITING = ["writing end in main", "writing end in reader"]
ENDS = [*WRITING, "reading end in main", "reading end in writer"]
STATE = {"read": [42, 42], "added": 400, "asked": 30, "again": False}
MESSAGES = {"read": [42, None], "added": None, "asked": 1, "again": True}
BOTH = {"read": [42, 42], "added": 400, "asked": 1, "again": True}


def cells(*needed: str) -> list[dict[str, Any]]:
    """Every combination of closed ends, by both methods, where closing these is what makes recv raise."""
    combinations = [list(ends) for n in range(5) for ends in itertools.combinations(ENDS, n)]
    return [
        {"method": method, "closed": closed, "eof": {*needed} <= {*closed}}
        for method in ("fork", "spawn")
        for closed in combinations
    ]


USUAL: dict[str, dict[str, Any]] = {
    "manager_one_computer": {
        "two_networks": True,
        "far_saw": "[('server', 'was here')] ['server']",
        "near_saw": "[('far', 'was here'), ('server', 'was here')] ['server', 'far']",
        "wrong_key": "AuthenticationError: digest sent was rejected",
        "plain": "AF_UNIX",
    },
    "manager_data_unsafe": {
        "races": {"k": 8, "n": 8},
        "raced": {"k": 1200, "n": 3200},
        "forced": {"k": 20, "n": 40},
        "locked": {"k": 0, "n": 400},
        "appended": {"k": 0, "n": 400},
        "nested_plain": 0,
        "nested_proxy": 1,
    },
    "brokers_as_middleware": {"brokers": {"Redis": BOTH, "RabbitMQ": MESSAGES, "Memcached": STATE}},
    "queue_pipe_and_lock": {
        "parts": ["BoundedSemaphore", "Connection", "Lock", "deque"],
        "simple_parts": ["Connection", "Lock"],
        "pickled_by": "QueueFeederThread",
        "simple_pickled_by": "MainThread",
        "put_before_pipe": True,
        "put_unread": BACK,
        "simple_put_unread": HUNG,
    },
    "queue_any_type": {
        "arrived": ["int"],
        "lost": {"lambda": "Can't pickle it"},
        "refused": [],
        "sent": [1, 2],
        "received": [1, 2, 3],
    },
    "queue_process_safe": {
        "sent": 4000,
        "lost": 0,
        "duplicated": 0,
        "after_reader": HUNG,
        "after_writer": HUNG,
    },
    "pipe_two_ends": {
        "cells": cells(*WRITING),
        "passed_one": {"fork": False, "spawn": True},
        "unclosed": HUNG,
    },
    "pipe_not_process_safe": {
        "got": ["200000 bytes: 199896 A, 100 B", "OSError: got end of file during message"],
        "readers": [HUNG, HUNG],
        "atomic": NONE,
        "above": {"k": 6, "n": 6},
        "locked": NONE,
    },
}

OPPOSITES: list[tuple[str, str, dict[str, Any], str]] = [
    ("manager_one_computer", "the far side sees nothing", {"far_saw": "ConnectionRefusedError"}, "holds"),
    ("manager_one_computer", "what it writes is not seen", {"near_saw": "[] []"}, "holds"),
    ("manager_data_unsafe", "nothing is lost", {"raced.k": 0, "forced.k": 0}, "refuted"),
    ("manager_data_unsafe", "a lock does not help", {"locked.k": 1}, "holds"),
    ("manager_data_unsafe", "single calls are lost", {"appended.k": 1}, "holds"),
    ("brokers_as_middleware", "each does both", {"brokers": {"Redis": BOTH, "Memcached": BOTH}}, "holds"),
    (
        "brokers_as_middleware",
        "none does anything",
        {"brokers": {"Redis": {**STATE, "added": 399}, "RabbitMQ": {**MESSAGES, "again": False}}},
        "refuted",
    ),
    (
        "brokers_as_middleware",
        "RabbitMQ loses the message of a killed consumer",
        {"brokers.RabbitMQ.again": False},
        "holds when",
    ),
    (
        "queue_pipe_and_lock",
        "put() goes into the pipe",
        {"put_before_pipe": False, "put_unread": HUNG},
        "holds",
    ),
    ("queue_pipe_and_lock", "nothing waits for its pipe", {"simple_put_unread": BACK}, "refuted"),
    ("queue_any_type", "all arrives as it was put", {"lost": {}, "received": [1, 2]}, "holds"),
    ("queue_process_safe", "a message is lost", {"lost": 1}, "refuted"),
    ("queue_process_safe", "a message comes twice", {"duplicated": 1}, "refuted"),
    ("queue_process_safe", "kills do no harm", {"after_reader": BACK, "after_writer": BACK}, "holds"),
    ("pipe_two_ends", "all ends are needed", {"cells": cells(*ENDS)}, "holds"),
    ("pipe_two_ends", "none is needed", {"cells": cells()}, "refuted"),
    ("pipe_two_ends", "it never raises", {"cells": cells("another one")}, "refuted"),
    ("pipe_two_ends", "one of them is enough", {"cells": cells(WRITING[0])}, "holds when"),
    ("pipe_not_process_safe", "a lock does not help", {"locked.k": 1}, "holds"),
    ("pipe_not_process_safe", "small messages are not safe either", {"atomic.k": 1}, "holds"),
    (
        "pipe_not_process_safe",
        "nothing is mixed up",
        {"got": ["200000 bytes: 200000 A, 0 B"], "above": NONE, "readers": [BACK, BACK]},
        "refuted",
    ),
]


@pytest.mark.parametrize("name", USUAL)
def test_what_is_usually_seen_gives_the_recorded_verdict(name: str) -> None:
    assert verdict_of(name, USUAL[name]).kind == catalogue.find([name])[name].recorded["linux"]


@pytest.mark.parametrize(
    ("name", "changes", "kind"),
    [pytest.param(name, changes, kind, id=f"{name}: {what}") for name, what, changes, kind in OPPOSITES],
)
def test_the_opposite_turns_the_verdict(name: str, changes: dict[str, Any], kind: str) -> None:
    turned = verdict_of(name, changed(USUAL[name], changes))
    assert turned.kind == kind
    assert turned != verdict_of(name, USUAL[name])


def test_every_claim_on_sharing_has_evidence_and_an_opposite() -> None:
    names = {name for name, claim in catalogue.load_all().items() if claim.section == "sharing"}
    assert set(USUAL) == names
    assert {name for name, *_ in OPPOSITES} == names


@pytest.mark.parametrize("name", USUAL)
def test_the_evidence_is_shown_with_what_matters_most_marked(name: str) -> None:
    rows = rows_of(name, USUAL[name])
    assert len({row.what for row in rows}) == len(rows)
    assert any(row.key for row in rows)


def test_a_single_corrupted_race_makes_pipes_unsafe() -> None:
    calm = {"got": ["200000 bytes: 200000 A, 0 B"], "readers": [BACK, BACK], "above": {"k": 1, "n": 6}}
    assert (
        verdict_of("pipe_not_process_safe", changed(USUAL["pipe_not_process_safe"], calm)).kind
        == "holds when"
    )


def test_the_ends_that_are_enough_to_close_are_named() -> None:
    assert verdict_of("pipe_two_ends", USUAL["pipe_two_ends"]).why.en.endswith(", ".join(WRITING))


def test_a_manager_over_the_loopback_refutes_too() -> None:
    seen = changed(USUAL["manager_one_computer"], {"two_networks": False})
    found = verdict_of("manager_one_computer", seen)
    assert found.kind == "refuted"
    assert found.why.en.endswith("(seen over the loopback only)")
