"""17. apply is synchronous, apply_async asynchronous; get, close, join."""

import itertools
from collections.abc import Callable
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Semaphore
from typing import Any

import msgspec

from ipclab.claims import (
    PATIENCE_S,
    Bench,
    Fate,
    Row,
    Source,
    Text,
    Verdict,
    claim,
    holds,
    joined,
    refuted,
)
from ipclab.claims.pools import finishing
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

TASKS = 10
NOTHING = "nothing"

# In the workers of a pool, from its initializer.
gate: Any
done: Any


class Evidence(msgspec.Struct, frozen=True):
    apply: Fate  # of the caller, while the task is held up by a closed gate
    apply_async: Fate
    after_gate: bool  # whether apply came back once the gate was open
    got: int  # the result of 6 * 7, by get()
    error: str  # what get() raises for a task that divided by 0
    join_first: str  # what join() before close() raises
    after_close: str  # what apply_async() after close() raises
    done_with_join: int  # of the tasks, where the caller called close() and join() before its end
    done_without: int  # where it did not


def equip(*things: Any) -> None:
    """Set up each worker of a pool, at its start, with what its tasks need.

    The gate is a pipe from which nobody takes anything; it is open once something is in it. Unlike an Event,
    it is not harmed when a process that waits for it is killed.
    """
    global gate, done
    gate, done = things


def multiply(a: int, b: int) -> int:
    gate.poll(None)
    return a * b


def count() -> None:
    gate.poll(None)
    with done.get_lock():
        done.value += 1


def call(method: str, context: Context, gate: Connection, has_pool: Semaphore) -> bool:
    pool = context.Pool(1, equip, [gate, None])
    has_pool.release()
    getattr(pool, method)(multiply, (6, 7))
    return gate.poll()


def error_of(function: Callable[..., Any], *args: Any) -> str:
    try:
        function(*args)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the evidence
        return f"{type(error).__name__}: {error}"
    return NOTHING


def handle(context: Context, gate: Connection) -> tuple[int, str, str, str]:
    with finishing(context.Pool(1, equip, [gate, None])) as pool:
        got = pool.apply_async(multiply, (6, 7)).get()
        error = error_of(pool.apply_async(divmod, (1, 0)).get)
        join_first = error_of(pool.join)
        pool.close()
        return got, error, join_first, error_of(pool.apply_async, multiply, (6, 7))


def hand_out(context: Context, gate: Connection, opener: Connection, done: Any, join: bool) -> None:
    pool = context.Pool(2, equip, [gate, done])
    for _ in range(TASKS):
        pool.apply_async(count)
    if join:
        pool.close()
        opener.send("open")
        pool.join()


def done_for(bench: Bench, join: bool) -> int:
    """Return how many tasks are done for a caller that waits for them at its end, or does not."""
    (gate, opener), done = bench.context.Pipe(duplex=False), bench.context.Value("i")
    bench.start(hand_out, bench.context, gate, opener, done, join, name="caller").join()
    opener.send("open")  # a task that has outlived its caller can be done now
    bench.timeline(f"{'with' if join else 'without'} close and join: {done.value} of {TASKS} tasks done")
    return int(done.value)


def experiment(bench: Bench) -> Evidence:
    gate, opener = bench.context.Pipe(duplex=False)
    has_pool, methods = bench.context.Semaphore(0), ("apply", "apply_async")
    callers = [bench.start(call, name, bench.context, gate, has_pool, name=name) for name in methods]
    for _ in callers:
        bench.reached(has_pool, "a pool")
    apply, apply_async = callers[0].watch(0.7), callers[1].watch(PATIENCE_S)
    bench.timeline(f"gate closed: apply {apply.outcome}, apply_async {apply_async.outcome}")
    opener.send("open")
    after_gate = callers[0].result()
    bench.timeline("gate open: apply has returned")
    handled = bench.start(handle, bench.context, gate).result()
    return Evidence(apply, apply_async, after_gate, *handled, done_for(bench, True), done_for(bench, False))  # type: ignore[call-arg]


def waited_in_get(apply: Fate) -> bool:
    """Return whether the call of get() in which it stood was made by Pool.apply."""
    functions = [frame.rpartition(" ")[2] for frame in apply.stack.splitlines()]
    return ("get", "apply") in itertools.pairwise(functions)


def verdict(seen: Evidence) -> Verdict:
    if not seen.apply.hung or not seen.after_gate:
        return refuted("apply did not wait for its task", "apply 没有等待任务完成")
    if seen.apply_async.outcome != "returned":
        return refuted(
            "apply_async did not return before its task was done", "任务未完成时 apply_async 没有返回"
        )
    if seen.got != 42:
        return refuted(f"get() of 6 * 7 gave {seen.got}", f"6 * 7 的 get() 得到 {seen.got}")
    if not seen.error.startswith("ZeroDivisionError"):
        return refuted(
            f"get() of a task that divided by 0 raised {seen.error}",
            f"除以 0 的任务的 get() 抛出：{seen.error}",
        )
    if seen.join_first == NOTHING:
        return refuted("join() before close() raised nothing", "close() 之前调用 join() 没有抛出异常")
    if seen.after_close == NOTHING:
        return refuted(
            "apply_async() after close() raised nothing", "close() 之后 apply_async() 没有抛出异常"
        )
    if seen.done_with_join != TASKS:
        return refuted(
            f"{seen.done_with_join} of {TASKS} tasks were done after close() and join()",
            f"close() 和 join() 之后，{TASKS} 个任务完成了 {seen.done_with_join} 个",
        )
    parts = [
        Text(
            "with the task held up, apply waited and apply_async had returned",
            "任务被挡住时，apply 在等待，而 apply_async 已返回",
        )
    ]
    if waited_in_get(seen.apply):
        parts.append(Text("apply is apply_async().get()", "apply 就是 apply_async().get()"))
    parts.append(
        Text(
            "get() gave the result or raised the error, join() had to come after close(), which ended "
            f"apply_async(), and after both all {TASKS} tasks were done",
            "get() 给出结果或抛出任务的异常，join() 必须在 close() 之后，close() 之后不再接受任务，"
            f"两者之后 {TASKS} 个任务全部完成",
        )
    )
    why = joined(parts, "; ", "；")
    return holds(why.en, why.zh)


def show(seen: Evidence) -> list[Row]:
    returned = Text("has returned", "已返回")
    return [
        Row(Text("apply, its task held up", "任务被挡住时的 apply"), seen.apply.text(returned), key=True),
        Row(
            Text("apply_async, its task held up", "任务被挡住时的 apply_async"),
            seen.apply_async.text(returned),
            key=True,
        ),
        Row(Text("get() of 6 * 7", "get() 得到 6 * 7"), str(seen.got)),
        Row(Text("get() of a task that failed raises", "任务失败时 get() 抛出"), seen.error),
        Row(Text("join() before close() raises", "close() 之前 join() 抛出"), seen.join_first),
        Row(Text("apply_async after close() raises", "close() 之后 apply_async 抛出"), seen.after_close),
        Row(
            Text(
                "tasks done, caller ends with / without close and join",
                "完成的任务数：有 / 没有 close 和 join",
            ),
            f"{seen.done_with_join} / {seen.done_without} ({TASKS})",
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=17,
    section="pools",
    statement=Text(
        "apply is synchronous, apply_async asynchronous; then get, close and join.",
        "apply 是同步的，apply_async 是异步的；随后用 get、close、join。",
    ),
    practice=Text(
        "Call get() on every AsyncResult, or pass an error_callback: an error shows nowhere else. End with "
        "close(), then join(): without them the end of the caller drops what is not done.",
        "对每个 AsyncResult 调用 get()，或传入 error_callback：错误不会在别处出现；最后先 close() 再 join()，"
        "否则调用者结束时未完成的任务会被丢弃。",
    ),
    sources=(
        Source(
            "multiprocessing: Pool.apply, apply_async, close, join",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool.apply",
        ),
        Source("CPython: Pool.apply", "Lib/multiprocessing/pool.py"),
    ),
    recorded="holds",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
