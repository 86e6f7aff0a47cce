"""2. Synchronous: the caller waits. Asynchronous: it is notified, and completion is uncertain."""

import time
from multiprocessing.synchronize import Event, Semaphore
from pathlib import Path
from typing import Any

import msgspec

from ipclab.claims import (
    PATIENCE_S,
    Bench,
    Fate,
    Row,
    Source,
    Text,
    Timeline,
    Verdict,
    claim,
    holds,
    holds_when,
    refuted,
)
from ipclab.claims.pools import finishing
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

TASKS = 10

# In the workers of a pool, from its initializer.
GATE: Any


class Evidence(msgspec.Struct, frozen=True):
    apply_at_the_gate: Fate  # of a caller that opens the gate for its task only after apply is back
    apply_async_at_the_gate: Fate  # the same with apply_async
    done_unawaited: int  # of TASKS, where the caller ends after apply_async
    done_joined: int  # of TASKS, where it calls close and join first
    error_unasked: Fate  # of a caller whose task raises, and that does not ask for the result
    error_asked: Fate  # of one that calls get()


def wait_at(gate: Event) -> None:
    global GATE
    GATE = gate


def task() -> None:
    GATE.wait()


def call(context: Context, timeline: Timeline, how: str, has_pool: Semaphore) -> None:
    """Open the gate that the task waits at only after the pool has come back."""
    gate = context.Event()
    pool = context.Pool(1, initializer=wait_at, initargs=(gate,))
    timeline(f"calls {how}")
    has_pool.release()
    asked = getattr(pool, how)(task)
    timeline(f"{how} is back; opens the gate")
    gate.set()
    if how == "apply_async":
        asked.get()
        timeline("the task is done")


def leave_a_mark(folder: Path, number: int) -> None:
    time.sleep(0.2)
    (folder / f"done-{number}").touch()


def hand_out(context: Context, folder: Path, join: bool) -> None:
    pool = context.Pool(2)
    for number in range(TASKS):
        pool.apply_async(leave_a_mark, (folder, number))
    if join:
        pool.close()
        pool.join()


def done(bench: Bench, join: bool) -> int:
    folder = bench.folder / ("joined" if join else "unawaited")
    folder.mkdir()
    caller = bench.start(hand_out, bench.context, folder, join, name="caller")
    caller.result()
    caller.join()
    finished = len(list(folder.iterdir()))
    bench.timeline(
        f"the caller has ended, {'after join' if join else 'without waiting'}: {finished} tasks done"
    )
    return finished


def fail() -> None:
    raise ValueError("the task failed")


def ignore_or_get(context: Context, get: bool) -> None:
    with finishing(context.Pool(1)) as pool:
        asked = pool.apply_async(fail)
        if get:
            asked.get()
        asked.wait()


def experiment(bench: Bench) -> Evidence:
    def called(how: str) -> Fate:
        has_pool = bench.context.Semaphore(0)
        caller = bench.start(call, bench.context, bench.timeline, how, has_pool, name="caller")
        bench.reached(has_pool, "a pool")
        fate = caller.watch(0.7 if how == "apply" else PATIENCE_S)
        bench.timeline(f"the caller of {how}: {fate.outcome} {fate.stuck_in}")
        return fate

    return Evidence(
        apply_at_the_gate=called("apply"),
        apply_async_at_the_gate=called("apply_async"),
        done_unawaited=done(bench, join=False),
        done_joined=done(bench, join=True),
        error_unasked=bench.start(ignore_or_get, bench.context, False).watch(PATIENCE_S),
        error_asked=bench.start(ignore_or_get, bench.context, True).watch(PATIENCE_S),
    )


def verdict(seen: Evidence) -> Verdict:
    if not seen.apply_at_the_gate.hung:
        return refuted("apply came back before its task was done", "apply 在任务完成之前就返回了")
    if seen.apply_async_at_the_gate.hung:
        return refuted("apply_async waited for its task", "apply_async 等待了任务完成")
    certain = seen.done_joined == TASKS and seen.error_asked.outcome == "raised"
    lost = seen.done_unawaited < TASKS or seen.error_unasked.outcome == "returned"
    if lost and certain:
        return holds_when(
            "nobody waits: tasks are then dropped, and errors vanish. get(), or close() and join(), make an "
            "asynchronous call certain",
            "没有人等待结果。此时任务会被丢弃，异常会消失。调用 get()，或先 close() 再 join()，"
            "异步调用就是确定的",
        )
    if lost:
        return holds("tasks were lost even after join()", "即使 join() 之后仍有任务丢失")
    return refuted("nothing was lost although nobody waited", "没有人等待，也没有丢失任何任务")


def show(seen: Evidence) -> list[Row]:
    back = Text("came back at once", "立即返回")
    return [
        Row(
            Text("apply, its task waiting for the caller", "apply，其任务在等调用者"),
            seen.apply_at_the_gate.text(back),
            key=True,
        ),
        Row(
            Text("apply_async, its task waiting for the caller", "apply_async，其任务在等调用者"),
            seen.apply_async_at_the_gate.text(back),
            key=True,
        ),
        Row(
            Text("tasks done, caller ends without waiting", "调用者不等待就结束：完成的任务数"),
            f"{seen.done_unawaited} / {TASKS}",
            key=True,
        ),
        Row(
            Text("tasks done, caller calls close and join", "调用者先 close 再 join：完成的任务数"),
            f"{seen.done_joined} / {TASKS}",
            key=True,
        ),
        Row(
            Text("a task raises, nobody calls get", "任务抛出异常，没有人调用 get"),
            seen.error_unasked.text(Text("nothing is heard of it", "没有任何消息")),
        ),
        Row(
            Text("a task raises, the caller calls get", "任务抛出异常，调用者调用 get"),
            seen.error_asked.text(Text("nothing is heard of it", "没有任何消息")),
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=2,
    section="processes",
    statement=Text(
        "Synchronous: the caller waits until what it depends on is done. Asynchronous: the work "
        "is only told to begin, and whether it completes is uncertain.",
        "同步：调用者等待所依赖的任务完成。异步：只通知任务去做，任务是否完成并不确定。",
    ),
    practice=Text(
        "Keep every AsyncResult and call get() on it, or pass an error_callback; call close() and join() "
        "before the program ends, since leaving a `with Pool()` block terminates the pool.",
        "保存每个 AsyncResult 并调用 get()，或传入 error_callback；程序结束前先 close() 再 join()，"
        "因为离开 `with Pool()` 代码块会直接终止进程池。",
    ),
    sources=(
        Source(
            "multiprocessing.pool: apply, apply_async, close, join",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool.apply_async",
        ),
        Source(
            "apply is apply_async(…).get(); _terminate_pool drops what is queued",
            "Lib/multiprocessing/pool.py",
        ),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
