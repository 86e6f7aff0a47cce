"""20. A callback runs in the main process, at once when the task is done: in one thread for all."""

import os
import threading
from multiprocessing.synchronize import Event, Semaphore
from typing import Any

import msgspec

from ipclab.claims import Bench, Fate, Row, Source, Text, Timeline, Verdict, claim, holds, holds_when, refuted
from ipclab.claims.pools import finishing
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

done: Any  # in the workers of a pool, from its initializer


class Evidence(msgspec.Struct, frozen=True):
    in_main_process: bool
    in_main_thread: bool
    thread: str
    before_get: bool  # whether the callback was done before get() returned
    held_up: bool  # whether another result, long there, waited for the end of a slow callback
    released: bool  # whether it came once that callback had ended
    after_error: Fate  # of a caller that waits for a result after a callback had raised an error


def equip(the_done: Event) -> None:
    global done
    done = the_done


def task() -> int:
    return os.getpid()


def last_task() -> None:
    done.set()


def callbacks(context: Context, timeline: Timeline) -> tuple[bool, bool, str, bool, bool, bool]:
    order, seen = [], {}
    task_done, in_callback, go_on = context.Event(), threading.Event(), threading.Event()

    def note(worker: int) -> None:
        timeline("callback")
        seen["process"], seen["thread"] = os.getpid(), threading.current_thread()  # type: ignore[assignment]
        order.append("callback")

    def slow(_: object) -> None:
        timeline("slow callback begins")
        in_callback.set()
        go_on.wait()
        timeline("slow callback ends")

    with finishing(context.Pool(2, equip, [task_done])) as pool:
        pool.apply_async(task, callback=note).get()
        timeline("get() has returned")
        order.append("get")
        pool.apply_async(task, callback=slow)
        in_callback.wait()
        other = pool.apply_async(last_task)
        task_done.wait()
        timeline("another task is done")
        other.wait(0.3)
        held_up = not other.ready()
        go_on.set()
        other.wait(20)
        timeline("its result is there")
        return (
            seen["process"] == os.getpid(),
            seen["thread"] is threading.main_thread(),  # type: ignore[comparison-overlap]
            seen["thread"].name,  # type: ignore[attr-defined]
            order == ["callback", "get"],
            held_up,
            other.ready(),
        )


def fails(_: object) -> None:
    raise RuntimeError("a callback failed")


def wait_after_error(context: Context, timeline: Timeline, has_ended: Semaphore) -> int:
    ended = threading.Event()

    def tell(died: threading.ExceptHookArgs) -> None:
        timeline(f"this thread ends: {died.exc_value}")
        ended.set()

    threading.excepthook = tell
    with context.Pool(2) as pool:
        pool.apply_async(task, callback=fails)
        ended.wait(20)
        has_ended.release()
        return pool.apply(task)


def experiment(bench: Bench) -> Evidence:
    has_ended = bench.context.Semaphore(0)
    waiter = bench.start(wait_after_error, bench.context, bench.timeline, has_ended, name="waiter")
    found = bench.start(callbacks, bench.context, bench.timeline, name="main of pool").result()
    bench.reached(has_ended, "the thread to end")
    return Evidence(*found, waiter.watch(0.7))  # type: ignore[call-arg]


def verdict(seen: Evidence) -> Verdict:
    if not seen.in_main_process:
        return refuted("it runs in another process", "它在其他进程中运行")
    if not seen.before_get:
        return refuted("the result was out before the callback ran", "结果先于回调返回")
    if seen.held_up or seen.after_error.hung:
        return holds_when(
            "every callback before it is short and raises nothing: all run in one thread of the main "
            "process, not the main thread, and the results come through the same one",
            "此前的回调都很短且不抛异常：所有回调都在主进程的同一个线程中运行，它不是主线程，也负责交付结果",
        )
    return holds("in the main process, before get() returned", "在主进程中，先于 get() 返回")


def show(seen: Evidence) -> list[Row]:
    yes, no = Text("yes", "是"), Text("no", "否")
    return [
        Row(Text("in the main process", "在主进程中"), yes if seen.in_main_process else no),
        Row(Text("in its main thread", "在主线程中"), yes if seen.in_main_thread else no),
        Row(Text("in the thread", "所在线程"), seen.thread, key=True),
        Row(Text("done before get() returned", "先于 get() 返回"), yes if seen.before_get else no, key=True),
        Row(
            Text("a slow callback held up another result", "慢回调延误了其他结果"),
            yes if seen.held_up else no,
            key=True,
        ),
        Row(Text("which came when it had ended", "回调结束后结果到达"), yes if seen.released else no),
        Row(
            Text("next get() after a callback raised", "回调抛异常之后的 get()"),
            seen.after_error.text(Text("returned", "已返回")),
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=20,
    section="pools",
    statement=Text(
        "A callback runs in the main process, at once when the task is done.",
        "回调函数在主进程中执行，任务一完成就立即执行。",
    ),
    practice=Text(
        "Keep callbacks short and let no error escape from them: put what is to be done into a queue.Queue "
        "for the main thread. What they change, other threads may be using.",
        "回调要短，且不让异常逃出：把要做的事放进 queue.Queue 交给主线程。"
        "回调修改的数据可能正被其他线程使用。",
    ),
    sources=(
        Source(
            "multiprocessing: callbacks should complete immediately",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool.apply_async",
        ),
        Source("CPython: Pool._handle_results, ApplyResult._set", "Lib/multiprocessing/pool.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
