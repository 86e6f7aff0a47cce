"""16. The right size of a pool is CPU count + 1: one more than computing needs, too few for waiting."""

import os
import time
from collections.abc import Callable
from multiprocessing.pool import Pool

import msgspec
import psutil

from ipclab.claims import Bench, Row, Source, Text, Verdict, claim, holds, holds_when, refuted
from ipclab.claims.pools import finishing
from ipclab.host.resources import cores
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

TASKS, WAITS, WAIT_S, TRIES = 24, 12, 0.03, 3
FULL = 0.2  # of the processors' time may be idle where they count as taken: the last tasks do not end as one
GAIN = 1.3


class Run(msgspec.Struct, frozen=True):
    size: int
    computing_s: float
    idle: float  # the least share of these processors' time that nothing used while the pool computed
    waiting_s: float  # the least, too: of some tries, since what else runs here can only make it longer


class Evidence(msgspec.Struct, frozen=True):
    cores: int
    runs: list[Run]


def compute(_: object) -> None:
    sum(n * n for n in range(150_000))


def wait(_: object) -> None:
    time.sleep(WAIT_S)


def timed(pool: Pool, task: Callable[[int], None], count: int) -> float:
    began = time.monotonic()
    pool.map(task, range(count), chunksize=1)
    return time.monotonic() - began


def processors() -> tuple[float, float]:
    """Return the idle seconds of the processors that this process may use, and all of their time."""
    mine = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else range(cores())
    times = [each for number, each in enumerate(psutil.cpu_times(percpu=True)) if number in mine]
    return sum(t.idle + getattr(t, "iowait", 0.0) for t in times), sum(map(sum, times))


def compute_all(pool: Pool) -> tuple[float, float]:
    """Return the seconds it took, and the share of the processors' time that was idle meanwhile."""
    idle, total = processors()
    seconds = timed(pool, compute, TASKS)
    idle_after, total_after = processors()
    return seconds, (idle_after - idle) / max(total_after - total, 0.01)


def run(context: Context, size: int) -> Run:
    with finishing(context.Pool(size)) as pool:
        pool.map(wait, range(size), chunksize=1)  # until all have started
        seconds, idle = zip(*(compute_all(pool) for _ in range(TRIES)), strict=True)
        return Run(size, min(seconds), min(idle), min(timed(pool, wait, WAITS) for _ in range(TRIES)))


def experiment(bench: Bench) -> Evidence:
    n = cores()
    sizes = range(1, 2 * n + 3) if n <= 4 else (1, n // 2, n, n + 1, 2 * n, 2 * n + 2)
    runs = []
    for size in sizes:
        seen = bench.start(run, bench.context, size).result()
        bench.timeline(
            f"{size} processes: computing {seen.computing_s:.2f} s, {seen.idle:.0%} idle; "
            f"waiting {seen.waiting_s:.2f} s"
        )
        runs.append(seen)
    return Evidence(n, runs)


def verdict(seen: Evidence) -> Verdict:
    by_size = {run.size: run for run in seen.runs}
    claimed, double = by_size[seen.cores + 1], by_size[2 * seen.cores + 2]
    if claimed.idle > FULL:
        return refuted("with that many, processors are still idle", "达到该数目时仍有处理器空闲")
    if by_size[seen.cores].idle <= FULL and claimed.waiting_s > GAIN * double.waiting_s:
        return refuted(
            "computing needs one less: as many processes as processors leave none idle; and tasks that wait "
            "are done sooner by more of them",
            "做计算时少一个就够：进程数等于处理器数时已没有处理器空闲；任务需要等待时，更多进程会更快完成",
        )
    if claimed.waiting_s > GAIN * double.waiting_s:
        return holds_when(
            "tasks only compute: no processor is idle then; tasks that wait are done sooner by more of them",
            "任务只做计算：此时没有处理器空闲；任务需要等待时，更多进程会更快完成",
        )
    return holds("more processes gain nothing, computing or waiting", "无论计算还是等待，更多进程都没有收益")


def show(seen: Evidence) -> list[Row]:
    enough = next((run.size for run in seen.runs if run.idle <= FULL), None)
    return [
        Row(
            Text(f"{seen.cores} cores; seconds by size, computing", f"{seen.cores} 核；各大小的秒数，计算"),
            ", ".join(f"{run.size}: {run.computing_s:.2f}" for run in seen.runs),
            key=True,
        ),
        Row(
            Text("processor time that was idle meanwhile", "期间处理器空闲的比例"),
            ", ".join(f"{run.size}: {run.idle:.0%}" for run in seen.runs),
        ),
        Row(
            Text(
                "enough to leave no processor idle, beside all else that ran here",
                "（连同本机其他负载）不留空闲处理器所需的大小",
            ),
            str(enough or "–"),
        ),
        Row(
            Text("seconds by size, waiting", "各大小的秒数，等待"),
            ", ".join(f"{run.size}: {run.waiting_s:.2f}" for run in seen.runs),
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=16,
    section="pools",
    statement=Text("The right size of a pool is CPU count + 1.", "进程池的合适大小是 CPU 数加 1。"),
    practice=Text(
        "Computing: as many processes as cores that this process may use, `len(os.sched_getaffinity(0))`. "
        "Waiting: as many as should wait at a time, and threads are cheaper. Measure with your own tasks.",
        "计算：进程数等于本进程可用的核数，即 `len(os.sched_getaffinity(0))`。等待：取希望同时等待的任务数，"
        "且线程更省。请用自己的任务测量。",
    ),
    sources=(
        Source(
            "multiprocessing: Pool(processes) defaults to os.process_cpu_count()",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.pool.Pool",
        ),
    ),
    recorded="refuted",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
