"""From rows to groups that are ranked, each by itself, and the class of a declaration."""

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ipclab.results.rows import groups
from ipclab.results.rows.build import rows
from ipclab.results.rows.classes import guarantee_class
from ipclab.results.rows.groups import form


def four(make: Any, backend: str, rate: float, **fields: Any) -> list[Any]:
    return [make.stream(backend, rate + i, repeat=i, **fields) for i in range(4)]


def test_rows_of_a_group_are_sorted_by_goodput_and_ranked(make):
    (group,) = form(rows([*four(make, "queue", 100.0), *four(make, "pipe", 200.0)]))
    assert [(row.name, row.rank) for row in group.rows] == [("pipe", "1"), ("queue", "2")]


def test_a_row_that_broke_its_guarantee_stands_below_and_has_no_rank(make):
    fast = four(make, "pipe", 900.0)
    fast[0] = msgspec.structs.replace(fast[0], ledger=make.bad_ledger())
    (group,) = form(rows([*fast, *four(make, "queue", 100.0), *four(make, "simple-queue", 50.0)]))
    assert [(row.name, row.rank) for row in group.rows] == [
        ("queue", "1"),
        ("simple-queue", "2"),
        ("pipe", None),
    ]


def test_too_few_repeats_give_no_rank(make):
    (group,) = form(rows([make.stream("queue", 1.0), make.stream("pipe", 2.0)]))
    assert [(row.name, row.rank, row.peers) for row in group.rows] == [("pipe", None, 1), ("queue", None, 1)]


def test_a_row_without_a_peer_has_no_rank(make):
    (group,) = form(rows(four(make, "queue", 100.0)))
    assert (group.rows[0].rank, group.rows[0].peers) == (None, 0)


def test_rows_with_different_guarantees_are_never_ranked_together(make):
    found = form(rows([*four(make, "pipe", 100.0), *four(make, "rabbitmq", 10.0, guarantees=make.durable)]))
    assert [group.title for group in found] == [
        "At least once, survives a broker restart",
        "At most once: a crash may cost messages",
    ]


@pytest.mark.parametrize(("field", "value", "shown"), [("size_bytes", 64, "64 B"), ("consumers", 4, "1→4")])
def test_different_sizes_and_shapes_are_different_groups(make, field, value, shown):
    found = form(rows([*four(make, "queue", 100.0), *four(make, "queue", 10.0, spec={field: value})]))
    assert len(found) == 2
    assert any(group.title.endswith(f" · {shown}") for group in found)


def test_rows_that_were_only_paced_are_ranked_by_their_median_latency(make):
    def trials(backend: str, latency_ns: int) -> list[Any]:
        return [make.paced(backend, range(latency_ns, latency_ns + 2000), repeat=i) for i in range(4)]

    (group,) = form(rows([*trials("queue", 90_000), *trials("pipe", 9_000)]))
    assert [(row.name, row.rank) for row in group.rows] == [("pipe", "1"), ("queue", "2")]


def test_safe_and_unsafe_disciplines_are_apart_and_come_after_the_channels(make):
    found = form(
        rows(
            [
                make.counter("value:discipline=naive", 9.0, safe=False),
                make.counter("value:discipline=locked", 3.0, safe=True),
                make.stream("pipe", 1.0),
            ]
        )
    )
    assert [group.title for group in found] == [
        "At most once: a crash may cost messages",
        "Shared state: safe disciplines",
        "Shared state: unsafe disciplines",
    ]


@pytest.mark.parametrize(
    ("declared", "title"),
    [
        ({}, "At most once: a crash may cost messages"),
        ({"may_lose": ["overload"]}, "At most once: a crash or overload may cost messages"),
        (
            {"delivery": "at-least-once", "may_lose": ["broker crash"]},
            "At least once, while the broker lives",
        ),
        (
            {"delivery": "at-least-once", "may_lose": ["broker crash"], "durability": "disk"},
            "At least once, survives an orderly restart of the broker but no crash",
        ),
        (
            {"delivery": "at-least-once", "may_lose": ["broker crash", "producer crash"]},
            "At least once, while broker, producers and consumers live",
        ),
        (
            {"delivery": "at-least-once", "may_lose": [], "durability": "quorum"},
            "At least once, survives a broker restart",
        ),
        (
            {"delivery": "at-least-once", "may_lose": ["overload"]},
            "At least once, but overload may cost messages",
        ),
        ({"order": "none"}, "At most once: a crash may cost messages, in any order"),
        (
            {"order": "none", "delivery": "at-least-once", "may_lose": [], "durability": "disk"},
            "At least once, survives a broker restart, in any order",
        ),
        (
            {"order": "none", "fan_out": True},
            "Fan-out, at most once: every consumer that keeps up gets every message",
        ),
        ({"may_lose": ["expired"]}, "At most once: a crash or a long wait may cost messages"),
        (
            {"delivery": "at-least-once", "may_lose": ["expired"], "durability": "disk"},
            "At least once, but a long wait may cost messages",
        ),
        (
            {"log_offset": "server", "order": "none"},
            "At most once: a crash may cost messages, in any order; a log, which can be read again",
        ),
        (
            {"log_offset": "consumer", "fan_out": True, "delivery": "at-least-once"},
            "Fan-out, at least once: every consumer gets every message; a log, which can be read again",
        ),
        ({"log_offset": ""}, "At most once: a crash may cost messages"),
        ({"fan_out": True}, "Fan-out, at most once: every consumer that keeps up gets every message"),
    ],
)
def test_the_class_follows_from_what_is_declared(make, declared, title):
    assert guarantee_class(make.at_most_once | declared).title == title


def test_a_row_that_promises_no_order_is_ranked_apart_and_right_below_those_that_do(make):
    unordered = {"guarantees": make.at_most_once | {"order": "none"}}
    overload = {"guarantees": make.at_most_once | {"may_lose": ["overload"]}}
    trials = [
        *four(make, "manager-dict", 900.0, **unordered),
        *four(make, "manager-queue", 100.0),
        *four(make, "queue", 50.0),
        *four(make, "redis-pubsub", 70.0, **overload),
    ]
    found = form(rows(trials))
    assert [(group.title, [(row.name, row.rank) for row in group.rows]) for group in found] == [
        ("At most once: a crash may cost messages", [("manager-queue", "1"), ("queue", "2")]),
        ("At most once: a crash may cost messages, in any order", [("manager-dict", None)]),
        ("At most once: a crash or overload may cost messages", [("redis-pubsub", None)]),
    ]


def test_a_record_without_a_declaration_has_a_class_too(make):
    assert guarantee_class({}).title == "Nothing declared"


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_row_stands_in_exactly_one_group_whatever_its_trials(make, data):
    kinds = st.sampled_from(["good", "hung", "broken", "paced", "ping", "naive"])
    names = st.sampled_from(["pipe", "queue", "simple-queue"])
    trials = []
    for kind, name in data.draw(st.lists(st.tuples(kinds, names), max_size=12)):
        trials.append(
            {
                "good": lambda name=name: make.stream(name, 5.0),
                "hung": lambda name=name: make.hung(name),
                "broken": lambda name=name: make.stream(name, 7.0, ledger=make.bad_ledger()),
                "paced": lambda name=name: make.paced(name, [1, 2, 3]),
                "ping": lambda name=name: make.ping_pong(name, 3.0),
                "naive": lambda: make.counter("value:discipline=naive", 9.0, safe=False),
            }[kind]()
        )
    found = rows(trials)
    assert sum(sum(row.trials.values()) for row in found) == len(trials)
    assert sorted(row.backend for group in form(found) for row in group.rows) == sorted(
        r.backend for r in found
    )
    for group in form(found):
        sound = [row.verdict in ("kept", "unsafe") for row in group.rows]
        assert sound == sorted(sound, reverse=True)


def test_the_work_for_titles_grows_with_the_rows_and_not_with_their_square(make, monkeypatch):
    calls = {"looked": 0}
    pace = groups._pace

    def counted(row: Any) -> Any:
        calls["looked"] += 1
        return pace(row)

    monkeypatch.setattr(groups, "_pace", counted)

    def looked(count: int) -> int:
        calls["looked"] = 0
        stream = make.stream("queue", 1.0)
        sizes = (msgspec.structs.replace(stream.spec, size_bytes=64 + i) for i in range(count))
        assert len(form(rows([msgspec.structs.replace(stream, spec=spec) for spec in sizes]))) == count
        return calls["looked"]

    assert looked(200) <= 2.5 * looked(100)
