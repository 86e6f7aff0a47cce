"""18. map is a short apply_async which closes and joins by itself: it waits, and leaves the pool open."""

import os
from multiprocessing.synchronize import Event, Semaphore
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
    joined,
    refuted,
)
from ipclab.claims.pools import finishing
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

# In the workers of a pool, from its initializer.
gate: Any


class Evidence(msgspec.Struct, frozen=True):
    workers: int
    alive: int  # workers after map had returned
    taken: bool  # whether the pool takes another task then
    same: bool  # whether workers of the first map did it
    after_close: str  # what map raises once close() was called
    map: Fate  # of a caller whose tasks are held up
    map_async: Fate


def pid(_: object) -> int:
    return os.getpid()


def use_again(context: Context, workers: int, timeline: Timeline) -> tuple[int, bool, bool, str]:
    with finishing(context.Pool(workers)) as pool:
        pool.map(pid, range(100))
        alive = sum(worker.is_alive() for worker in pool._pool)  # type: ignore[attr-defined]
        pids = {worker.pid for worker in pool._pool}  # type: ignore[attr-defined]
        timeline(f"map has returned; {alive} workers are alive")
        try:
            again = pool.apply(pid, (0,))
        except ValueError:
            return alive, False, False, ""
        timeline("the pool has done another task")
        pool.close()
        try:
            pool.map(pid, range(1))
        except ValueError as error:
            return alive, True, again in pids, str(error)
        return alive, True, again in pids, "nothing"


def call(method: str, context: Context, gate: Event, has_pool: Semaphore) -> None:
    pool = context.Pool(1, equip, [gate])
    has_pool.release()
    getattr(pool, method)(wait, range(3))


def equip(the_gate: Event) -> None:
    global gate
    gate = the_gate


def wait(_: object) -> None:
    gate.wait()


def experiment(bench: Bench) -> Evidence:
    gate, workers = bench.context.Event(), 2
    has_pool, methods = bench.context.Semaphore(0), ("map", "map_async")
    callers = [bench.start(call, name, bench.context, gate, has_pool, name=name) for name in methods]
    found = bench.start(use_again, bench.context, workers, bench.timeline, name="main of pool").result()
    for _ in callers:
        bench.reached(has_pool, "a pool")
    fates = (caller.watch(for_s) for caller, for_s in zip(callers, (0.7, PATIENCE_S), strict=True))
    return Evidence(workers, *found, *fates)


def verdict(seen: Evidence) -> Verdict:
    after, waits = [], []
    if seen.alive:
        after.append(
            Text(
                f"{seen.alive} of {seen.workers} workers were alive",
                f" {seen.workers} 个工作进程中 {seen.alive} 个仍存活",
            )
        )
    if seen.taken:
        after.append(Text("the pool took another task", "进程池还能接受任务"))
    if seen.map.hung:
        waits.append(Text("map waits for its results only", "map 只等待自己的结果"))
        if seen.map_async.outcome == "returned":
            waits.append(Text("map_async does not even that", "map_async 连结果也不等"))
    if after:
        found = joined(after, " and ", "，")
        why = joined([found, joined(waits, zh="，")] if waits else [found], "; ", "；")
        return refuted(f"after map, {why.en}", f"map 之后{why.zh}")
    if not seen.map.hung:
        return holds_when("it need not wait for its results", "不要求它等待结果时")
    return holds("the pool was closed after map", "map 之后进程池已关闭")


def show(seen: Evidence) -> list[Row]:
    returned, yes, no = Text("has returned", "已返回"), Text("yes", "是"), Text("no", "否")
    return [
        Row(
            Text("workers alive after map", "map 之后存活的工作进程"),
            f"{seen.alive} / {seen.workers}",
            key=True,
        ),
        Row(Text("takes another task after map", "map 之后还接受任务"), yes if seen.taken else no, key=True),
        Row(Text("done by a worker that was there before", "由原有的工作进程完成"), yes if seen.same else no),
        Row(Text("map after close() raises", "close() 之后 map 抛出"), seen.after_close),
        Row(Text("map, its tasks held up", "任务被挡住时的 map"), seen.map.text(returned)),
        Row(Text("map_async, its tasks held up", "任务被挡住时的 map_async"), seen.map_async.text(returned)),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=18,
    section="pools",
    statement=Text(
        "map is a short apply_async which closes and joins by itself.",
        "map 是 apply_async 的简写，自带 close 和 join。",
    ),
    practice=Text(
        "Use one pool for many calls of map; end it yourself, with close() and join(), or with `with`, which "
        "terminates it and is safe once all results are there.",
        "一个进程池可多次调用 map；自己用 close() 和 join() 结束它，或用 `with`（会 terminate，"
        "在结果都拿到之后是安全的）。",
    ),
    sources=(
        Source(
            "multiprocessing: Pool.map",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool.map",
        ),
        Source("CPython: Pool.map is _map_async().get()", "Lib/multiprocessing/pool.py"),
    ),
    recorded="refuted",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
