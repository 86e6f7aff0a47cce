"""Verdicts on pools are read off the evidence: the opposite of what is usual turns them."""

from __future__ import annotations

from typing import Any

import pytest

from ipclab.claims import catalogue
from tests.support.evidence import changed, rows_of, verdict_of

HUNG = {"outcome": "hung", "stuck_in": "Lib/threading.py:1 wait"}
BACK = {"outcome": "returned"}


def sweep(full_from: int, waiting_s: list[float]) -> list[dict[str, Any]]:
    """Sizes 1 to 6, of which this one and all above leave no processor idle."""
    return [
        {"size": size, "computing_s": 0.5, "idle": 0.0 if size >= full_from else 0.5, "waiting_s": seconds}
        for size, seconds in enumerate(waiting_s, 1)
    ]


SHORTER = [0.48, 0.24, 0.16, 0.12, 0.1, 0.08]
FLAT = [0.48, 0.24, 0.16, 0.16, 0.16, 0.16]


def ways(alive: list[int], inside: int = 2) -> list[dict[str, Any]]:
    """Of 10 and of 100 tasks."""
    return [
        {"tasks": tasks, "inside": inside, "alive": count, "memory_mb": 1.5 * count, "seconds": 0.1}
        for tasks, count in zip((10, 100), alive, strict=True)
    ]


USUAL: dict[str, dict[str, Any]] = {
    "cpu_heavy_pool": {
        "cores": 2,
        "workers": 2,
        "used": {"loop": 0.9, "threads": 0.9, "processes": 1.7},
        "wanted": {"loop": 1.0, "threads": 1.0, "processes": 1.8},
        "task_us": 9000.0,
        "small_us": 0.05,
        "hand_over_us": 30.0,
    },
    "pool_size": {"cores": 2, "runs": sweep(2, SHORTER)},
    "apply_and_apply_async": {
        "apply": HUNG,
        "apply_async": BACK,
        "after_gate": True,
        "got": 42,
        "error": "ZeroDivisionError: division by zero",
        "join_first": "ValueError: Pool is still running",
        "after_close": "ValueError: Pool not running",
        "done_with_join": 10,
        "done_without": 0,
    },
    "map_closes": {
        "workers": 2,
        "alive": 2,
        "taken": True,
        "same": True,
        "after_close": "Pool not running",
        "map": HUNG,
        "map_async": BACK,
    },
    "map_results": {
        "numbers": [1, 2, 3],
        "finished": [3, 2, 1],
        "returned": [1, 4, 9],
        "unordered": [9, 4, 1],
        "error": "ZeroDivisionError: division by zero",
    },
    "callback": {
        "in_main_process": True,
        "in_main_thread": False,
        "thread": "Thread-3 (_handle_results)",
        "before_get": True,
        "held_up": True,
        "released": True,
        "after_error": HUNG,
    },
    "semaphore_or_pool": {"limit": 2, "semaphore": ways([10, 100]), "pool": ways([2, 2])},
    "worker_killed": {
        "busy": HUNG,
        "pool_went_on": True,
        "idle": HUNG,
        "executor": "BrokenProcessPool",
        "executor_other": "BrokenProcessPool",
        "executor_later": "BrokenProcessPool",
        "sending": HUNG,
        "after_sending": HUNG,
    },
}

OPPOSITES: list[tuple[str, str, dict[str, Any], str]] = [
    ("cpu_heavy_pool", "a pool can use no more than a loop", {"wanted.processes": 1.1}, "refuted"),
    ("cpu_heavy_pool", "threads run in parallel", {"wanted.threads": 1.7}, "holds when"),
    ("cpu_heavy_pool", "handing over costs nothing", {"hand_over_us": 0.01}, "holds"),
    ("pool_size", "one more leaves processors idle", {"runs": sweep(5, SHORTER)}, "refuted"),
    ("pool_size", "one less leaves processors idle", {"runs": sweep(3, SHORTER)}, "holds when"),
    ("pool_size", "more gain nothing for waiting", {"runs": sweep(2, FLAT)}, "holds"),
    ("apply_and_apply_async", "apply does not wait", {"apply": BACK}, "refuted"),
    ("apply_and_apply_async", "apply_async waits", {"apply_async": HUNG}, "refuted"),
    ("apply_and_apply_async", "get() gives something else", {"got": 0}, "refuted"),
    ("apply_and_apply_async", "get() hides the error of a task", {"error": "nothing"}, "refuted"),
    ("apply_and_apply_async", "join() may come before close()", {"join_first": "nothing"}, "refuted"),
    ("apply_and_apply_async", "a closed pool takes more", {"after_close": "nothing"}, "refuted"),
    ("apply_and_apply_async", "join() does not wait for all", {"done_with_join": 9}, "refuted"),
    ("map_closes", "the pool is closed after map", {"alive": 0, "taken": False}, "holds"),
    ("map_closes", "closed, but not waited for", {"alive": 0, "taken": False, "map": BACK}, "holds when"),
    ("map_results", "map returns nothing", {"returned": None}, "holds"),
    ("map_results", "results come in another order", {"returned": [9, 4, 1]}, "refuted"),
    ("callback", "it runs elsewhere", {"in_main_process": False}, "refuted"),
    ("callback", "get() returns first", {"before_get": False}, "refuted"),
    ("callback", "callbacks do no harm to others", {"held_up": False, "after_error": BACK}, "holds"),
    ("semaphore_or_pool", "more run at a time", {"semaphore": ways([10, 100], inside=5)}, "refuted"),
    ("semaphore_or_pool", "the semaphore shares processes", {"semaphore": ways([10, 20])}, "refuted"),
    ("semaphore_or_pool", "the pool has one per task", {"pool": ways([10, 100])}, "refuted"),
    ("worker_killed", "the callers of a Pool get an answer", {"busy": BACK, "idle": BACK}, "holds"),
    ("worker_killed", "the executor does not tell", {"executor": "nothing"}, "refuted"),
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


def test_every_claim_on_pools_has_evidence_and_an_opposite() -> None:
    names = {name for name, claim in catalogue.load_all().items() if claim.section == "pools"}
    assert set(USUAL) == names
    assert {name for name, *_ in OPPOSITES} == names


@pytest.mark.parametrize("name", USUAL)
def test_the_evidence_is_shown_with_what_matters_most_marked(name: str) -> None:
    rows = rows_of(name, USUAL[name])
    assert len({row.what for row in rows}) == len(rows)
    assert any(row.key for row in rows)


def test_the_smallest_size_that_leaves_no_processor_idle_is_shown() -> None:
    [enough] = [r.value for r in rows_of("pool_size", USUAL["pool_size"]) if r.what.en.startswith("enough")]
    assert enough == "2"


def test_a_pool_on_a_busy_machine_still_counts_by_what_it_can_use() -> None:
    crowded = changed(USUAL["cpu_heavy_pool"], {"used": {"loop": 0.5, "threads": 0.5, "processes": 0.5}})
    assert verdict_of("cpu_heavy_pool", crowded).kind == "holds when"


def test_workers_that_live_on_in_a_closed_pool_take_no_other_task() -> None:
    seen = verdict_of("map_closes", changed(USUAL["map_closes"], {"taken": False}))
    assert seen.kind == "refuted"
    assert "another task" not in seen.why.en
    assert seen.why.en.startswith("after map, 2 of 2 workers were alive; ")
    assert seen.why.zh.startswith("map 之后 2 个工作进程中 2 个仍存活；")


def test_a_pool_that_takes_tasks_without_live_workers_is_not_said_to_have_some() -> None:
    seen = verdict_of("map_closes", changed(USUAL["map_closes"], {"alive": 0}))
    assert seen.kind == "refuted"
    assert seen.why.en.startswith("after map, the pool took another task; ")
    assert seen.why.zh.startswith("map 之后进程池还能接受任务；")


def test_a_map_that_did_not_wait_is_not_said_to_wait() -> None:
    seen = verdict_of("map_closes", changed(USUAL["map_closes"], {"map": BACK}))
    assert seen.kind == "refuted"
    assert "waits" not in seen.why.en
    assert "等" not in seen.why.zh


def test_a_map_async_that_waited_is_not_set_against_map() -> None:
    seen = verdict_of("map_closes", changed(USUAL["map_closes"], {"map_async": HUNG}))
    assert seen.why.en.endswith("map waits for its results only")
    assert seen.why.zh.endswith("map 只等待自己的结果")


def test_apply_is_said_to_be_get_where_its_stack_shows_that() -> None:
    stack = "Lib/multiprocessing/pool.py:768 get\nLib/multiprocessing/pool.py:360 apply\nclaim.py:1 call"
    seen = changed(USUAL["apply_and_apply_async"], {"apply": {**HUNG, "stack": stack}})
    assert "; apply is apply_async().get(); " in verdict_of("apply_and_apply_async", seen).why.en
    assert "；apply 就是 apply_async().get()；" in verdict_of("apply_and_apply_async", seen).why.zh


def test_apply_is_not_said_to_be_get_where_it_waited_elsewhere() -> None:
    seen = verdict_of("apply_and_apply_async", USUAL["apply_and_apply_async"])
    assert seen.kind == "holds"
    assert "apply_async().get()" not in seen.why.en + seen.why.zh


def test_tasks_that_a_caller_left_behind_and_that_were_done_by_luck_change_nothing() -> None:
    seen = changed(USUAL["apply_and_apply_async"], {"done_without": 10})
    assert verdict_of("apply_and_apply_async", seen) == verdict_of(
        "apply_and_apply_async", USUAL["apply_and_apply_async"]
    )


def test_a_pool_that_tells_of_an_idle_worker_only_leaves_the_caller_of_the_busy_one_waiting() -> None:
    seen = verdict_of("worker_killed", changed(USUAL["worker_killed"], {"idle": BACK}))
    assert seen.why.en.endswith("who asked a Pool for that task waits for ever")


def test_an_executor_that_takes_more_after_a_death_is_not_said_to_refuse() -> None:
    takes_more = {"executor_other": "nothing", "executor_later": "nothing"}
    seen = verdict_of("worker_killed", changed(USUAL["worker_killed"], takes_more))
    assert "; it fails that task; " in seen.why.en


def test_an_executor_whose_worker_dies_within_a_result_is_said_to_wait_as_well() -> None:
    seen = verdict_of("worker_killed", USUAL["worker_killed"])
    assert "the worker is not killed while it sends a result, after which it waits for ever" in seen.why.en
    told = verdict_of("worker_killed", changed(USUAL["worker_killed"], {"sending": BACK}))
    assert told.why.en.startswith("it is a ProcessPoolExecutor; it fails every task")
