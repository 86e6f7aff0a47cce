"""A verdict is read off the evidence: what is usually seen gives the recorded one, the opposite another."""

from __future__ import annotations

import copy
from typing import Any

import msgspec
import pytest

from ipclab.claims import Verdict, catalogue

HUNG = {"outcome": "hung", "stuck_in": "Lib/threading.py:1 wait"}
BACK = {"outcome": "returned"}
RAISED = {"outcome": "raised", "error": "ValueError: no"}


def seen_of(data: dict[str, bool]) -> dict[str, Any]:
    """What the starter sees where another process changed things that are meant to be shared, or more."""
    plain = ["global number", "global list", "list argument", "class attribute", "threading.local"]
    shared = ["Value", "shared memory", "Manager list", "file"]
    return {**dict.fromkeys(plain, False), **dict.fromkeys(shared, True), **data}


ALL_PLAIN = dict.fromkeys(["global number", "global list", "list argument", "class attribute"], True)
ENDED = {"lines": ["main done", "child done"], "code": 0, "error": ""}
NO_PULSE_LOST = {"forced_pulse": True, "pulse_false.k": 0}
RACE = {"with_loss": {"k": 0, "n": 5}, "lost": 0, "updates": 1000}
CHANGES = ["variable", "working_directory", "environment", "open_file", "file_limit"]
TIMINGS = [{"elapsed_s": 0.1 * n, "cpu_s": 0.1 * n} for n in (1, 2, 4, 8)]
WAITS = [{"elapsed_s": 0.11, "cpu_s": 0.0}] * 4

SEEN: dict[str, dict[str, Any]] = {
    "process_states": {
        "alone": {"elapsed_s": 1.0, "ran_s": 1.0, "queued_s": 0.0},
        "rivals": {"elapsed_s": 1.0, "ran_s": 1.0, "queued_s": 3.0},
        "all_running": {"k": 60, "n": 60},
        "sleep": "sleeping",
        "pipe": "sleeping",
        "lock": "sleeping",
        "stopped": "stopped",
        "zombie": "zombie",
        "disk": {"k": 30, "n": 200},
    },
    "synchronous": {
        "apply_at_the_gate": HUNG,
        "apply_async_at_the_gate": BACK,
        "done_unawaited": 0,
        "done_joined": 10,
        "error_unasked": BACK,
        "error_asked": RAISED,
    },
    "process_resources": {
        "by_process": dict.fromkeys(CHANGES, False),
        "by_thread": dict.fromkeys(CHANGES, True),
        "child_first": {"k": 1, "n": 40},
        "starts": {"fork": {"to_first_line_ms": 2.0, "own_pid": True, "parent_is_starter": True}},
    },
    "mutex": {
        "updates": 100_000,
        "lost_without": 12_000,
        "lost_with": 0,
        "forced_without": 1,
        "forced_with": 0,
        "forced_rogue": 1,
        "owner_killed": HUNG,
        "waiter_killed": BACK,
        "file_lock": {"flock": HUNG, "lockf": BACK},
    },
    "semaphore": {
        "most_inside": 2,
        "most_inside_of_one": 1,
        "most_inside_a_lock": 1,
        "most_after_extra_release": 3,
        "bounded_extra_release": RAISED,
        "bounded_stray_release": BACK,
        "bounded_inside": 3,
        "bounded_holder": RAISED,
        "lock_extra_release": RAISED,
        "after_a_killed_holder": 1,
        "after_all_killed": HUNG,
        "after_a_killed_waiter": 2,
        "thread_parts": ["_cond: Condition", "_value: int"],
        "lock_is_a_semaphore_of": 1,
    },
    "event": {
        "before_set": HUNG,
        "woken": 3,
        "while_set": BACK,
        "after_clear": HUNG,
        "pulse_false": {"k": 3, "n": 150},
        "thread_pulse_false": {"k": 0, "n": 150},
        "forced_pulse": False,
        "set_after_a_kill": HUNG,
    },
    "thread_scheduling": {
        "threads": 3,
        "tasks": 4,
        "own_ids": 3,
        "states": {"waiting": "S", "computing": "R", "bound": "R"},
        "cpu_s": {"waiting": 0.0001, "computing": 0.4, "bound": 0.4},
        "cores": {"waiting": 2, "computing": 2, "bound": 1},
        "coroutine_ids": 1,
        "with_gil": True,
        "parallel": 0.9,
    },
    "threads_light": {
        "threads": {
            "met": True,
            "start_ms": 0.1,
            "memory_kib": 40.0,
            "change_seen": True,
            "offset_moved": True,
        },
        "forked": {
            "met": True,
            "start_ms": 4.0,
            "memory_kib": 1400.0,
            "change_seen": False,
            "offset_moved": True,
        },
        "spawn_ms": 300.0,
    },
    "threads_interleave": {
        "thread_pids": 1,
        "process_pids": 3,
        "steps": 1_000_000,
        "switches": 50,
        "with_gil": True,
        "compute_threads": TIMINGS,
        "compute_processes": TIMINGS,
        "wait_threads": WAITS,
        "wait_processes": WAITS,
    },
    "data_isolation": {
        "thread": {"changes": seen_of(ALL_PLAIN), "number_at_start": 1, "later_change": True},
        "fork": {"changes": seen_of({}), "number_at_start": 1, "later_change": False},
        "spawn": {"changes": seen_of({}), "number_at_start": 0, "later_change": False},
        "forkserver": {"changes": seen_of({}), "number_at_start": 0, "later_change": False},
        "default": "fork",
    },
    "main_thread": {
        "unjoined": ENDED,
        "joined": {"lines": ["child done", "main done"], "code": 0, "error": ""},
        "daemon": {"lines": ["main done"], "code": 0, "error": ""},
        "child_raises": {"lines": ["main done"], "code": 0, "error": "ValueError: in the child"},
        "main_raises": {"lines": ["child done"], "code": 1, "error": "ValueError: in the main thread"},
        "list_changed": True,
        "number_changed": False,
        "plus_one": RACE,
        "plus_call": {"with_loss": {"k": 5, "n": 5}, "lost": 400, "updates": 1000},
        "plus_locked": RACE,
        "forced_lost": 1,
    },
}
"""Of each claim about processes, locks and threads: evidence as its experiment brings it."""

OPPOSITES: list[tuple[str, str, dict[str, Any], str]] = [
    ("process_states", "no other state is reported", {"stopped": "sleeping", "zombie": "sleeping"}, "holds"),
    (
        "process_states",
        "ready processes do not wait",
        {"rivals.queued_s": 0.0, "rivals.ran_s": 4.0},
        "refuted",
    ),
    ("process_states", "what waits is reported as running", {"pipe": "running"}, "refuted"),
    ("synchronous", "apply does not wait", {"apply_at_the_gate": BACK}, "refuted"),
    ("synchronous", "apply_async waits", {"apply_async_at_the_gate": HUNG}, "refuted"),
    (
        "synchronous",
        "nothing is lost unawaited",
        {"done_unawaited": 10, "error_unasked": RAISED},
        "refuted",
    ),
    ("synchronous", "join() does not help", {"done_joined": 3}, "holds"),
    ("process_resources", "a child changes its starter", {"by_process.variable": True}, "refuted"),
    ("process_resources", "a thread has files of its own", {"by_thread.open_file": False}, "refuted"),
    ("mutex", "updates are lost under the lock", {"lost_with": 7}, "refuted"),
    ("mutex", "one gets in between in spite of it", {"forced_with": 1}, "refuted"),
    ("mutex", "nothing is lost without it", {"forced_without": 0, "lost_without": 0}, "refuted"),
    ("mutex", "no rogue and no death harm it", {"forced_rogue": 0, "owner_killed": BACK}, "holds"),
    ("semaphore", "it lets more in", {"most_inside": 5}, "refuted"),
    ("semaphore", "one of 1 is no lock", {"most_inside_of_one": 2}, "refuted"),
    (
        "semaphore",
        "its count cannot be wrong",
        {"most_after_extra_release": 2, "after_a_killed_holder": 2, "after_all_killed": BACK},
        "holds",
    ),
    ("event", "it does not block", {"before_set": BACK}, "refuted"),
    ("event", "not all are woken", {"woken": 1}, "refuted"),
    ("event", "clear() does not clear", {"after_clear": BACK}, "refuted"),
    ("event", "pulses and deaths do no harm", {**NO_PULSE_LOST, "set_after_a_kill": BACK}, "holds"),
    ("thread_scheduling", "threads are unknown to the kernel", {"own_ids": 1, "tasks": 1}, "refuted"),
    ("thread_scheduling", "coroutines are known to it", {"coroutine_ids": 100}, "refuted"),
    (
        "thread_scheduling",
        "all threads have the state of the process",
        {"states": {"waiting": "R", "computing": "R", "bound": "R"}},
        "refuted",
    ),
    ("threads_light", "they do not run at the same time", {"threads.met": False}, "refuted"),
    ("threads_light", "processes are as light", {"forked.start_ms": 0.1}, "refuted"),
    ("threads_light", "processes share memory", {"forked.change_seen": True}, "refuted"),
    ("threads_light", "the offset is isolated", {"forked.offset_moved": False}, "holds"),
    ("threads_interleave", "threads have pids", {"thread_pids": 3}, "refuted"),
    ("threads_interleave", "one runs after the other", {"switches": 2}, "refuted"),
    (
        "threads_interleave",
        "threads compute side by side",
        {"compute_threads": [{"elapsed_s": 0.1, "cpu_s": 0.19}] * 4},
        "holds when",
    ),
    (
        "threads_interleave",
        "threads wait one after the other",
        {"wait_threads": [{"elapsed_s": 9.0, "cpu_s": 0.0}] * 4},
        "refuted",
    ),
    ("data_isolation", "processes share globals", {"fork.changes": seen_of(ALL_PLAIN)}, "refuted"),
    ("data_isolation", "a process sees later changes", {"spawn.later_change": True}, "refuted"),
    ("data_isolation", "threads do not share globals", {"thread.changes": seen_of({})}, "refuted"),
    (
        "data_isolation",
        "nothing else can be had",
        {
            "thread.changes": dict.fromkeys(seen_of({}), True),
            "fork.changes": dict.fromkeys(seen_of({}), False),
            "spawn.changes": dict.fromkeys(seen_of({}), False),
        },
        "holds",
    ),
    ("main_thread", "the process does not wait", {"unjoined.lines": ["main done"]}, "refuted"),
    ("main_thread", "a child has data of its own", {"list_changed": False}, "refuted"),
    ("main_thread", "a lock does not help", {"plus_locked.lost": 3}, "refuted"),
    (
        "main_thread",
        "daemons are waited for, and nothing is lost",
        {"daemon.lines": ["main done", "child done"], "forced_lost": 0},
        "holds",
    ),
]


def verdict(name: str, changes: dict[str, Any]) -> Verdict:
    """Of the claim of this name, about what is usually seen but for these changes."""
    claim = catalogue.find([name])[name]
    seen = copy.deepcopy(SEEN[name])
    for place, value in changes.items():
        *outer, last = place.split(".")
        part = seen
        for key in outer:
            part = part[key]
        part[last] = value
    return claim.verdict(msgspec.convert(seen, claim.evidence))


@pytest.mark.parametrize("name", SEEN)
def test_what_is_usually_seen_gives_the_recorded_verdict(name: str) -> None:
    claim = catalogue.find([name])[name]
    assert verdict(name, {}).kind == claim.recorded["linux"]


@pytest.mark.parametrize(
    ("name", "changes", "kind"),
    [pytest.param(name, changes, kind, id=f"{name}: {what}") for name, what, changes, kind in OPPOSITES],
)
def test_the_opposite_turns_the_verdict(name: str, changes: dict[str, Any], kind: str) -> None:
    turned = verdict(name, changes)
    assert turned.kind == kind
    assert turned.kind != verdict(name, {}).kind or turned.why != verdict(name, {}).why


def test_every_claim_of_these_sections_has_evidence_and_an_opposite() -> None:
    names = {
        name
        for name, claim in catalogue.load_all().items()
        if claim.section in ("processes", "locks", "threads")
    }
    assert set(SEEN) == names
    assert {name for name, *_ in OPPOSITES} == names


@pytest.mark.parametrize("name", SEEN)
def test_the_evidence_is_shown_in_both_languages(name: str) -> None:
    claim = catalogue.find([name])[name]
    rows = list(claim.show(msgspec.convert(SEEN[name], claim.evidence)))
    assert len(rows) >= 3
    assert all(row.what.en and row.what.zh for row in rows)
    assert len({row.what for row in rows}) == len(rows)


def test_an_event_that_keeps_its_pulses_is_told_to_hang_after_a_death_and_no_more() -> None:
    seen = verdict("event", NO_PULSE_LOST)
    assert seen.kind == "holds when"
    assert seen.why.en == "no waiter dies while it waits: after a waiter's death set() itself hangs"
    assert seen.why.zh == "没有等待者在等待中死亡。等待者被杀之后，set() 本身会永远阻塞"


def test_an_event_that_survives_a_death_is_told_to_lose_pulses_and_no_more() -> None:
    seen = verdict("event", {"set_after_a_kill": BACK})
    assert seen.kind == "holds when"
    assert seen.why.en == (
        "the flag stays set until the waiters have gone on: after a set and clear at once wait() may return "
        "False"
    )
    assert seen.why.zh == "标志保持为真直到等待者都继续执行。set 后立刻 clear，wait() 可能返回 False"


def test_a_pulse_that_was_lost_by_chance_alone_counts_too() -> None:
    seen = verdict("event", {"forced_pulse": True, "set_after_a_kill": BACK})
    assert seen.kind == "holds when"


def test_a_set_that_raises_after_a_death_is_not_said_to_hang() -> None:
    seen = verdict("event", {**NO_PULSE_LOST, "set_after_a_kill": RAISED})
    assert seen.why.en.endswith("set() itself fails")
    assert seen.why.zh.endswith("set() 本身会失败")


def test_a_mutex_that_outlives_its_owner_only_needs_to_be_taken_by_all() -> None:
    seen = verdict("mutex", {"owner_killed": BACK})
    assert seen.kind == "holds when"
    assert seen.why.en == "every process that touches the data takes the lock"
    assert seen.why.zh == "所有访问该数据的进程都先取锁"


def test_a_mutex_that_no_rogue_harms_only_needs_its_owner_to_live() -> None:
    seen = verdict("mutex", {"forced_rogue": 0})
    assert seen.kind == "holds when"
    assert seen.why.en == "no process dies while it holds the lock"
    assert seen.why.zh == "没有进程在持锁时死亡"


def test_a_mutex_that_is_lost_with_a_waiter_needs_waiters_to_live() -> None:
    seen = verdict("mutex", {"forced_rogue": 0, "owner_killed": BACK, "waiter_killed": HUNG})
    assert seen.kind == "holds when"
    assert seen.why.en == "no process dies while it waits for the lock"
    assert seen.why.zh == "没有进程在等锁时死亡"


def test_updates_that_were_lost_by_chance_alone_show_that_the_mutex_is_needed() -> None:
    assert verdict("mutex", {"forced_without": 0}).kind == "holds when"


def test_a_semaphore_whose_permits_outlive_their_holder_only_minds_extra_releases() -> None:
    seen = verdict("semaphore", {"after_a_killed_holder": 2, "after_all_killed": BACK})
    assert seen.kind == "holds when"
    assert seen.why.en == (
        "every release follows an acquire: the counter has no owner, so an extra release lets 1 more in for "
        "good, and so does one of a BoundedSemaphore while somebody is inside"
    )
    assert seen.why.zh == (
        "每次 release 之前都有 acquire。计数器没有所有者，多一次 release 就永久多放进 1 个进程，"
        "有进程在内时，BoundedSemaphore 也是如此"
    )


def test_a_semaphore_that_minds_no_extra_release_only_needs_its_holders_to_live() -> None:
    seen = verdict("semaphore", {"most_after_extra_release": 2})
    assert seen.kind == "holds when"
    assert seen.why.en == "no holder dies: the counter has no owner, so a killed holder's permit is gone"
    assert seen.why.zh == "持有者不会死亡。计数器没有所有者，被杀的持有者的名额永远丢失"


def test_a_semaphore_that_loses_a_permit_with_a_waiter_says_so() -> None:
    seen = verdict("semaphore", {"after_a_killed_waiter": 1})
    assert "no waiter dies" in seen.why.en
    assert "a killed waiter takes a permit with it" in seen.why.en
    assert "被杀的等待者会带走一个名额" in seen.why.zh


def test_a_semaphore_of_1_that_is_no_lock_is_refuted_by_its_own_numbers() -> None:
    seen = verdict("semaphore", {"most_inside_of_one": 2})
    assert seen.why.en == "2 were inside a semaphore of 1, and 1 inside a lock"
    assert seen.why.zh == "值为 1 的信号量内同时有 2 个进程，锁内有 1 个"


def test_a_daemon_that_is_not_cut_off_only_needs_a_lock() -> None:
    lines = {"daemon.lines": ["main done", "child done"]}
    seen = verdict("main_thread", lines)
    assert seen.why.en.startswith("working on the same data needs a lock")


def test_a_bounded_semaphore_that_refuses_any_release_too_many_is_not_said_to_take_one() -> None:
    seen = verdict("semaphore", {"bounded_stray_release": RAISED, "bounded_inside": 2})
    assert "BoundedSemaphore" not in seen.why.en
