"""21. Semaphore against pool: both let n run at a time, but the semaphore starts a process for every task."""

import time
from collections.abc import Callable, Iterable
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

import msgspec

from ipclab.claims import Bench, Row, Source, Text, Verdict, claim, holds, refuted
from ipclab.claims.pools import finishing
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

LIMIT = 2
TASKS = (10, 100, 500)

# In the workers of a pool, from its initializer.
inside: Any


class Way(msgspec.Struct, frozen=True):
    tasks: int
    inside: int  # tasks that ran at the same time, at most
    alive: int  # processes at the same time
    memory_mb: float  # of these, with what they share split between them
    seconds: float  # to start all, and until all tasks are done


class Evidence(msgspec.Struct, frozen=True):
    limit: int
    semaphore: list[Way]
    pool: list[Way]


class Inside:
    """Counts how many tasks are inside at a time."""

    def __init__(self, context: Context) -> None:
        self.now, self.most, self.lock = context.RawValue("i"), context.RawValue("i"), context.Lock()

    def __enter__(self) -> None:
        with self.lock:
            self.now.value += 1
            self.most.value = max(self.most.value, self.now.value)

    def __exit__(self, *_: object) -> None:
        with self.lock:
            self.now.value -= 1


def task(inside: Inside) -> None:
    with inside:
        sum(range(10_000))


def limited(semaphore: Semaphore, inside: Inside) -> None:
    with semaphore:
        task(inside)


def memory_mb(pids: Iterable[int | None]) -> float:
    """Return the memory of these processes: a page shared by k of them counts as 1/k page for each."""
    lines = (line for pid in pids for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines())
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def by_semaphore(context: Context, tasks: int) -> Way:
    semaphore, inside = context.Semaphore(LIMIT), Inside(context)
    for _ in range(LIMIT):
        semaphore.acquire()  # keeps all outside until they have been counted
    began = time.monotonic()
    processes = [context.Process(target=limited, args=(semaphore, inside)) for _ in range(tasks)]
    for process in processes:
        process.start()
    seconds = time.monotonic() - began
    alive = [process.pid for process in processes if process.is_alive()]
    memory = memory_mb(alive)
    began = time.monotonic()
    for _ in range(LIMIT):
        semaphore.release()
    for process in processes:
        process.join()
    return Way(tasks, inside.most.value, len(alive), memory, seconds + time.monotonic() - began)


def equip(the_inside: Inside) -> None:
    global inside
    inside = the_inside


def pooled(_: object) -> None:
    task(inside)


def by_pool(context: Context, tasks: int) -> Way:
    inside, began = Inside(context), time.monotonic()
    with finishing(context.Pool(LIMIT, equip, [inside])) as pool:
        pool.map(pooled, range(tasks), chunksize=1)
        seconds = time.monotonic() - began
        alive = [process.pid for process in pool._pool]  # type: ignore[attr-defined]
        return Way(tasks, inside.most.value, len(alive), memory_mb(alive), seconds)


def experiment(bench: Bench) -> Evidence:
    def run(way: Callable[[Context, int], Way], tasks: int) -> Way:
        seen: Way = bench.start(way, bench.context, tasks).result()
        bench.timeline(f"{way.__name__}, {tasks} tasks: {seen.alive} processes, {seen.seconds:.2f} s")
        return seen

    return Evidence(LIMIT, *([run(way, tasks) for tasks in TASKS] for way in (by_semaphore, by_pool)))


def verdict(seen: Evidence) -> Verdict:
    if any(way.inside > seen.limit for way in [*seen.semaphore, *seen.pool]):
        return refuted("more tasks than that ran at a time", "同时运行的任务超过上限")
    if any(way.alive < way.tasks for way in seen.semaphore):
        return refuted("with the semaphore there were fewer processes than tasks", "使用信号量时进程少于任务")
    if any(way.alive > seen.limit for way in seen.pool):
        return refuted("the pool had more processes than its size", "进程池的进程多于其大小")
    most, pool = seen.semaphore[-1], seen.pool[-1]
    return holds(
        f"for {most.tasks} tasks, {most.alive} processes against {pool.alive}",
        f"{most.tasks} 个任务时，{most.alive} 个进程对 {pool.alive} 个",
    )


def show(seen: Evidence) -> list[Row]:
    def each(what: Callable[[Way], object]) -> str:
        pairs = zip(seen.semaphore, seen.pool, strict=True)
        return "; ".join(f"{way.tasks}: {what(way)} / {what(pool)}" for way, pool in pairs)

    return [
        Row(
            Text("tasks: inside at a time, semaphore / pool", "任务数：同时在内，信号量 / 进程池"),
            each(lambda way: way.inside),
        ),
        Row(Text("processes alive", "存活的进程"), each(lambda way: way.alive), key=True),
        Row(Text("their memory, MB", "它们的内存（MB）"), each(lambda way: f"{way.memory_mb:.0f}"), key=True),
        Row(Text("seconds", "秒数"), each(lambda way: f"{way.seconds:.2f}"), key=True),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=21,
    section="pools",
    statement=Text(
        "A semaphore and a pool both let n run at a time, but with a semaphore there are as many processes "
        "as tasks.",
        "信号量和进程池都能限制同时运行 n 个，但用信号量时有多少任务就会启动多少进程。",
    ),
    practice=Text(
        "Use a pool to work through many tasks, and a semaphore to limit the use of something by processes "
        "that are there anyway.",
        "处理大量任务用进程池；信号量用来限制已有的进程对某种资源的使用。",
    ),
    sources=(
        Source(
            "multiprocessing: process pools",
            "https://docs.python.org/3/library/multiprocessing.html#module-multiprocessing.pool",
        ),
    ),
    recorded="holds",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
