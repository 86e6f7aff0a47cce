"""Verdicts on sharing data are read off the evidence: the opposite of what is usual turns them."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ipclab.claims import Text, Verdict, catalogue
from tests.support.evidence import changed, rows_of, verdict_of

HUNG = {"outcome": "hung", "stuck_in": "Lib/multiprocessing/connection.py:1 _recv"}
BACK = {"outcome": "returned"}
RAISED = {"outcome": "raised", "error": "ValueError: no"}
NONE = {"k": 0, "n": 6}
WRITING = ["writing end in main", "writing end in reader"]
ENDS = [*WRITING, "reading end in main", "reading end in writer"]
STATE = {"read": [42, 42], "added": 400, "asked": 30, "again_by": "nobody"}
MESSAGES = {"read": [42, None], "added": None, "asked": 1, "again_by": "server"}
BOTH = {"read": [42, 42], "added": 400, "asked": 1, "again_by": "client"}
CALM_PIPE = {
    "got": ["200000 bytes: 200000 A, 0 B"],
    "above": {"k": 0, "n": 6},
    "readers": [BACK, HUNG],
    "shared_reading": {"k": 0, "n": 6},
}


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
        "own_key": "AuthenticationError: digest sent was rejected",
        "own_key_set": "nothing",
        "owner_killed": HUNG,
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
        "own_queue": HUNG,
        "own_pipe": {"outcome": "raised", "error": "OSError: got end of file during message"},
        "own_pipe_open": HUNG,
    },
    "pipe_two_ends": {
        "cells": cells(*WRITING),
        "passed_one": {"fork": False, "spawn": True},
        "bystander": {"fork": False, "spawn": True},
        "unclosed": HUNG,
    },
    "pipe_not_process_safe": {
        "got": ["200000 bytes: 199896 A, 100 B", "OSError: got end of file during message"],
        "readers": [HUNG, HUNG],
        "atomic": NONE,
        "above": {"k": 6, "n": 6},
        "locked": NONE,
        "one_each": NONE,
        "shared_reading": {"k": 6, "n": 6},
        "both_locked": NONE,
        "killed": HUNG,
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
        {"brokers": {"Redis": {**STATE, "added": 399}, "RabbitMQ": {**MESSAGES, "again_by": "nobody"}}},
        "refuted",
    ),
    (
        "brokers_as_middleware",
        "RabbitMQ loses the message of a killed consumer",
        {"brokers.RabbitMQ.again_by": "nobody"},
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
    ("pipe_not_process_safe", "a lock for each end does not help", {"both_locked.k": 1}, "holds"),
    ("pipe_not_process_safe", "one process per end is not safe either", {"one_each.k": 1}, "holds"),
    ("pipe_not_process_safe", "nothing is mixed up", CALM_PIPE, "refuted"),
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


def found(name: str, changes: dict[str, Any]) -> Verdict:
    return verdict_of(name, changed(USUAL[name], changes))


def test_a_single_corrupted_race_of_writers_makes_pipes_unsafe_for_writers() -> None:
    seen = found("pipe_not_process_safe", {**CALM_PIPE, "killed": BACK, "above": {"k": 1, "n": 6}})
    assert seen.kind == "holds when"
    assert seen.why.en == (
        "several processes write to one end messages above PIPE_BUF (4096 bytes with the header, of a "
        "one-way pipe); one process per end is safe, and so is a lock for each end"
    )
    assert seen.why.zh == (
        "多个进程向同一端写入超过 PIPE_BUF（单向管道，含头部 4096 字节）的消息；"
        "每端只有一个进程，或每端配一把锁，则是安全的"
    )


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"readers": [HUNG, HUNG]}, id="by force"),
        pytest.param({"shared_reading": {"k": 1, "n": 6}}, id="by chance"),
    ],
)
def test_a_message_that_readers_took_apart_makes_pipes_unsafe_for_readers(changes: dict[str, Any]) -> None:
    seen = found("pipe_not_process_safe", {**CALM_PIPE, **changes})
    assert seen.kind == "holds when"
    assert seen.why.en.startswith("several processes read from one end; one process per end is safe")
    assert seen.why.zh.startswith("多个进程从同一端读取；每端只有一个进程")


def test_a_reader_that_waits_while_the_other_has_the_message_is_no_harm() -> None:
    seen = found("pipe_not_process_safe", {"readers": [BACK, HUNG], "shared_reading": NONE})
    assert "read from" not in seen.why.en
    assert "读取" not in seen.why.zh


def test_a_queue_that_only_a_killed_reader_blocks_minds_get_alone() -> None:
    seen = found("queue_process_safe", {"after_writer": BACK})
    assert seen.kind == "holds when"
    assert seen.why.en == (
        "no process is killed inside get(): the lock that it held blocks the others for ever"
    )
    assert seen.why.zh == "没有进程在 get() 中被杀：它持有的锁会让其他进程永远阻塞"


def test_a_queue_that_only_a_killed_writer_blocks_minds_put_alone() -> None:
    seen = found("queue_process_safe", {"after_reader": BACK, "own_queue": BACK})
    assert seen.kind == "holds when"
    assert seen.why.en == (
        "no process is killed inside put(): the half message that it left blocks the others for ever"
    )
    assert seen.why.zh == "没有进程在 put() 中被杀：它留下的半条消息会让其他进程永远阻塞"


def test_a_queue_whose_reader_fails_after_a_kill_is_not_said_to_block_it() -> None:
    seen = found("queue_process_safe", {"after_reader": BACK, "after_writer": RAISED})
    assert seen.kind == "holds when"
    assert seen.why.en.endswith("harms the others")
    assert "阻塞" not in seen.why.zh


def test_a_queue_that_refuses_in_put_drops_nothing_behind_its_back() -> None:
    seen = found("queue_any_type", {"lost": {}, "refused": ["lambda"], "received": [1, 2]})
    assert seen.kind == "refuted"
    assert seen.why.en == "it delivers only what pickle can carry; the rest is refused by put()"
    assert seen.why.zh == "它只送达可以 pickle 的对象；其余的被 put() 拒绝"


def test_a_queue_that_refuses_some_is_not_said_to_take_anything() -> None:
    seen = found("queue_any_type", {"refused": ["generator"]})
    assert "takes anything" not in seen.why.en
    assert "什么都接收" not in seen.why.zh


def test_a_queue_that_pickles_at_once_lets_no_later_change_travel_along() -> None:
    seen = found("queue_any_type", {"received": [1, 2]})
    assert seen.kind == "refuted"
    assert seen.why.en.endswith("the rest is dropped behind the back of put()")
    assert seen.why.zh.endswith("其余的在 put() 返回后被悄悄丢弃")


def test_a_queue_that_delivers_everything_may_still_deliver_it_changed() -> None:
    seen = found("queue_any_type", {"lost": {}})
    assert seen.kind == "refuted"
    assert seen.why.en == "what is changed after put() may arrive changed"
    assert seen.why.zh == "put() 之后再修改的对象可能以修改后的内容到达"


def test_the_verdict_on_brokers_says_who_brings_a_message_back() -> None:
    seen = found("brokers_as_middleware", {})
    assert seen.why.en.endswith(
        "; Redis keeps a killed consumer's message until a client moves it back; RabbitMQ sends a killed "
        "consumer's message again by itself"
    )
    assert seen.why.zh.endswith("；被杀消费者的消息：Redis 保留到客户端移回，RabbitMQ 会自行重新投递")


def test_no_broker_is_said_to_redeliver_by_itself_where_a_client_had_to_help() -> None:
    seen = found("brokers_as_middleware", {"brokers.RabbitMQ.again_by": "client"})
    assert "by itself" not in seen.why.en
    assert "自行" not in seen.why.zh


def test_a_broker_that_answers_at_once_with_nothing_does_not_carry_messages() -> None:
    seen = found("brokers_as_middleware", {"brokers.RabbitMQ.asked": None})
    assert "messages go through Redis;" in seen.why.en
    assert "传递消息用 Redis；" in seen.why.zh


def test_a_consumer_that_never_had_its_message_is_shown_to_have_asked_in_vain() -> None:
    seen = changed(USUAL["brokers_as_middleware"], {"brokers.Memcached.asked": None})
    [row] = [row for row in rows_of("brokers_as_middleware", seen) if row.what.en == "Memcached"]
    assert isinstance(row.value, Text)
    assert "asked for a message in vain;" in row.value.en
    assert "为一条消息询问未果；" in row.value.zh


def test_the_ends_that_are_enough_to_close_are_named() -> None:
    assert f"closed: {', '.join(WRITING)}" in verdict_of("pipe_two_ends", USUAL["pipe_two_ends"]).why.en


def test_a_manager_over_the_loopback_refutes_too() -> None:
    seen = changed(USUAL["manager_one_computer"], {"two_networks": False})
    refuted = verdict_of("manager_one_computer", seen)
    assert refuted.kind == "refuted"
    assert refuted.why.en.endswith("(seen over the loopback only)")


def test_a_put_that_was_not_seen_to_return_early_is_not_said_to() -> None:
    seen = verdict_of(
        "queue_pipe_and_lock", changed(USUAL["queue_pipe_and_lock"], {"put_before_pipe": False})
    )
    assert "before anything" not in seen.why.en


def test_a_queue_of_its_own_is_no_cure_where_its_time_out_bounds_nothing() -> None:
    seen = verdict_of("queue_process_safe", USUAL["queue_process_safe"])
    assert "a queue of its own does not help" in seen.why.en
    bounded = verdict_of("queue_process_safe", changed(USUAL["queue_process_safe"], {"own_queue": RAISED}))
    assert "its own" not in bounded.why.en


def test_a_killed_holder_of_a_managers_lock_is_a_condition_of_its_help() -> None:
    seen = verdict_of("manager_data_unsafe", USUAL["manager_data_unsafe"])
    assert seen.why.en.endswith("as long as no holder of it is killed")
    freed = verdict_of("manager_data_unsafe", changed(USUAL["manager_data_unsafe"], {"owner_killed": BACK}))
    assert "killed" not in freed.why.en


def test_who_is_forked_between_keeps_a_pipe_open() -> None:
    seen = verdict_of("pipe_two_ends", USUAL["pipe_two_ends"])
    assert seen.why.en.endswith("any process that is started meanwhile by fork has the writing end, too")
    nobody = {"bystander": {"fork": True, "spawn": True}}
    assert "meanwhile" not in verdict_of("pipe_two_ends", changed(USUAL["pipe_two_ends"], nobody)).why.en


def test_a_lock_for_each_end_is_safe_only_as_long_as_its_holders_live() -> None:
    seen = verdict_of("pipe_not_process_safe", USUAL["pipe_not_process_safe"])
    assert seen.why.en.endswith("a lock for each end as long as no holder is killed")
    freed = verdict_of("pipe_not_process_safe", changed(USUAL["pipe_not_process_safe"], {"killed": BACK}))
    assert freed.why.en.endswith("a lock for each end")
