"""The ledger of a task queue, on made-up logs: what is lost, stuck, executed twice, and redone."""

from __future__ import annotations

from typing import Literal

from ipclab.checks.tasks import Effect, Submission, settle


def submitted(*bodies: str, refused: tuple[str, ...] = ()) -> list[Submission]:
    return [Submission(body, n, n, None if body in refused else n + 1) for n, body in enumerate(bodies)]


def log(*entries: tuple[Literal["begin", "end"], str, int]) -> list[Effect]:
    return [Effect(kind, body, 1, at_ns) for kind, body, at_ns in entries]


def test_tasks_that_begin_and_end_once_are_executed_and_nothing_else() -> None:
    ledger = settle(
        submitted("a", "b"), log(("begin", "a", 10), ("end", "a", 20), ("begin", "b", 30), ("end", "b", 40))
    )
    assert (ledger.attempted, ledger.confirmed, ledger.executed) == (2, 2, 2)
    assert (ledger.lost, ledger.stuck, ledger.twice, ledger.begun_twice, ledger.half_done) == (0, 0, 0, 0, 0)


def test_a_confirmed_task_that_never_ends_and_is_nowhere_is_lost() -> None:
    ledger = settle(submitted("a", "b"), log(("begin", "a", 10)), held=set())
    assert (ledger.lost, ledger.stuck, ledger.half_done) == (2, 0, 1)


def test_a_task_that_the_broker_still_holds_is_stuck_and_not_lost() -> None:
    ledger = settle(submitted("a", "b"), log(("begin", "a", 10), ("end", "a", 20)), held={"b", "a"})
    assert (ledger.lost, ledger.stuck, ledger.late) == (0, 1, 0)


def test_a_task_that_runs_only_after_the_nudge_was_stuck() -> None:
    effects = log(("begin", "a", 10), ("end", "a", 20), ("begin", "b", 110), ("end", "b", 120))
    ledger = settle(submitted("a", "b"), effects, nudged_ns=100)
    assert (ledger.lost, ledger.stuck, ledger.late, ledger.executed) == (0, 1, 1, 2)


def test_a_second_execution_after_the_nudge_does_not_make_a_task_stuck() -> None:
    effects = log(("end", "a", 110), ("end", "a", 20))
    ledger = settle(submitted("a"), effects, nudged_ns=100)
    assert (ledger.stuck, ledger.twice) == (0, 1)


def test_a_task_whose_submission_was_refused_is_neither_lost_nor_stuck() -> None:
    ledger = settle(submitted("a", refused=("a",)), [], held={"a"})
    assert (ledger.attempted, ledger.confirmed, ledger.lost, ledger.stuck) == (1, 0, 0, 0)


def test_a_refused_task_that_was_executed_all_the_same_counts_as_executed() -> None:
    ledger = settle(submitted("a", refused=("a",)), log(("begin", "a", 10), ("end", "a", 20)))
    assert (ledger.executed, ledger.unexpected) == (1, 0)


def test_an_interrupted_task_that_ends_later_has_begun_twice_and_is_redone_after_that_time() -> None:
    effects = log(("begin", "a", 10), ("begin", "a", 150), ("end", "a", 160))
    ledger = settle(submitted("a"), effects, struck_ns=50)
    assert (ledger.begun_twice, ledger.twice, ledger.half_done) == (1, 0, 0)
    assert ledger.redone_after_ns == 100


def test_a_task_that_began_only_after_the_fault_is_not_redone() -> None:
    ledger = settle(submitted("a"), log(("begin", "a", 60), ("end", "a", 70)), struck_ns=50)
    assert ledger.redone_after_ns is None


def test_a_task_that_had_ended_before_the_fault_is_twice_but_not_redone() -> None:
    effects = log(("begin", "a", 10), ("end", "a", 20), ("begin", "a", 60), ("end", "a", 70))
    ledger = settle(submitted("a"), effects, struck_ns=50)
    assert (ledger.twice, ledger.redone_after_ns) == (1, None)


def test_an_effect_of_a_task_that_nobody_submitted_is_unexpected() -> None:
    ledger = settle(submitted("a"), log(("begin", "x", 10), ("end", "x", 20)))
    assert (ledger.unexpected, ledger.executed, ledger.lost) == (1, 0, 1)
