"""15. CPU-heavy code wants a pool: only processes use more than one processor, if the tasks are worth it."""

import contextlib
import sys
import time
from collections.abc import Callable
from multiprocessing.pool import ThreadPool
from pathlib import Path

import msgspec

from ipclab.claims import Bench, Row, Source, Text, Timeline, Verdict, claim, holds, holds_when, refuted
from ipclab.claims.pools import finishing
from ipclab.host.resources import cores
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

TASKS, ROUNDS, SMALL_TASKS = 8, 3, 3_000
GAIN = 1.3  # times what a plain loop can use: less than this is no gain
WAYS = ("loop", "threads", "processes")


class Evidence(msgspec.Struct, frozen=True):
    cores: int
    workers: int
    used: dict[str, float]  # processors used, that is CPU time over time passed: loop, threads, processes
    wanted: dict[
        str, float
    ]  # the same with the time in which a task was ready, but others had the processors
    task_us: float  # CPU time of one heavy task
    small_us: float  # of a small one
    hand_over_us: float  # of giving a task to a pool and taking its result, in the main process alone


def burn(_: object) -> tuple[float, float]:
    """Run a heavy task; return how long it ran, and how long it was ready to run without a processor."""
    ran_s, queued = time.thread_time(), queued_s()
    sum(n * n for n in range(250_000))
    return time.thread_time() - ran_s, queued_s() - queued


def queued_s() -> float:
    """Return how long this thread has waited for a processor; 0 where the system does not report it."""
    with contextlib.suppress(OSError):
        return int(Path("/proc/thread-self/schedstat").read_text().split()[1]) / 1e9
    return 0.0


def compare(
    context: Context, workers: int, timeline: Timeline
) -> tuple[dict[str, float], dict[str, float], float, float, float]:
    sys.setswitchinterval(10)  # else threads that wait for the interpreter's lock queue to look at it
    ran_s, ready_s, wall_s = (dict.fromkeys(WAYS, 0.0) for _ in range(3))
    with finishing(context.Pool(workers)) as processes, ThreadPool(workers) as threads:
        maps = dict(zip(WAYS, (map, threads.map, processes.map), strict=True))
        for _ in range(ROUNDS):  # in turns, so that a busy moment of the machine hits all of them
            for way, run in maps.items():
                began = time.monotonic()
                times = list(run(burn, range(TASKS)))  # type: ignore[operator]
                wall_s[way] += time.monotonic() - began
                ran_s[way] += sum(ran for ran, _ in times)
                ready_s[way] += sum(ran + queued for ran, queued in times)
        alone_us = cpu_us(lambda: list(map(abs, range(SMALL_TASKS))))
        pooled_us = cpu_us(lambda: processes.map(abs, range(SMALL_TASKS), chunksize=1))
    for way in WAYS:
        timeline(f"{way}: ran {ran_s[way]:.2f} s, ready {ready_s[way]:.2f} s, in {wall_s[way]:.2f} s")
    used, wanted = ({way: seconds[way] / wall_s[way] for way in WAYS} for seconds in (ran_s, ready_s))
    return used, wanted, ran_s["loop"] / (ROUNDS * TASKS) * 1e6, alone_us, pooled_us


def cpu_us(function: Callable[[], object]) -> float:
    began = time.process_time()
    function()
    return (time.process_time() - began) / SMALL_TASKS * 1e6


def experiment(bench: Bench) -> Evidence:
    workers = min(cores(), 4)
    found = bench.start(compare, bench.context, workers, bench.timeline, name="main of the pool").result()
    return Evidence(cores(), workers, *found)


def verdict(seen: Evidence) -> Verdict:
    if seen.wanted["processes"] < GAIN * seen.wanted["loop"]:
        return refuted("a pool can use no more processors than a loop", "进程池能用的处理器并不比循环多")
    if 2 * seen.wanted["threads"] > seen.wanted["loop"] + seen.wanted["processes"]:
        return holds_when(
            "threads do not run in parallel, which they do here", "线程不能并行时；此处线程可以并行"
        )
    if seen.hand_over_us > 2 * seen.small_us:
        return holds_when(
            "there is more than one processor, and a task takes much longer than it takes to hand it over",
            "有多个处理器，并且一个任务的耗时远大于移交它的开销",
        )
    return holds("only the pool can use more than one processor", "只有进程池能用多个处理器")


def show(seen: Evidence) -> list[Row]:
    names = {"loop": "循环", "threads": "线程", "processes": "进程"}

    def by_way(numbers: dict[str, float]) -> Text:
        return Text(
            ", ".join(f"{way} {numbers[way]:.2f}" for way in WAYS),
            "，".join(f"{names[way]} {numbers[way]:.2f}" for way in WAYS),
        )

    here = f"{seen.workers} workers on {seen.cores} cores", f"{seen.workers} 个工作者，{seen.cores} 核"
    return [
        Row(
            Text(f"processors that it can use, {here[0]}", f"能用的处理器数（{here[1]}）"),
            by_way(seen.wanted),
            key=True,
        ),
        Row(Text("processors that it got", "实际得到的处理器数"), by_way(seen.used)),
        Row(Text("CPU time of a heavy task", "重任务的 CPU 时间"), f"{seen.task_us:,.0f} µs"),
        Row(
            Text("to hand a task to the pool", "把任务移交给进程池的开销"),
            f"{seen.hand_over_us:.1f} µs",
            key=True,
        ),
        Row(Text("CPU time of a task that is too small", "过小任务的 CPU 时间"), f"{seen.small_us:.2f} µs"),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=15,
    section="pools",
    statement=Text("CPU-heavy code wants a pool.", "CPU 密集型代码适合用进程池。"),
    practice=Text(
        "Use processes for computing and threads for waiting; give small tasks to a pool in batches "
        "(`chunksize`), or it costs more than it saves.",
        "计算用进程，等待用线程；小任务要成批交给进程池（`chunksize`），否则得不偿失。",
    ),
    sources=(
        Source(
            "threading: the global interpreter lock",
            "https://docs.python.org/3/library/threading.html#gil-and-performance-considerations",
        ),
        Source("CPython: a task's way through Pool", "Lib/multiprocessing/pool.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
