"""24. Threads of one process interleave with its main thread, under one pid."""

import itertools
import os
import resource
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from ipclab.claims import Bench, Row, Source, Text, Timeline, Verdict, claim, holds, holds_when, refuted
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

TASKS = (1, 2, 4, 8)
TURNS_S, WAIT_S, NUMBERS = 0.3, 0.2, 1_000_000


class Timing(msgspec.Struct, frozen=True):
    """Of some tasks at once."""

    elapsed_s: float
    cpu_s: float

    @property
    def cores(self) -> float:
        return self.cpu_s / self.elapsed_s


class Evidence(msgspec.Struct, frozen=True):
    thread_pids: int  # different pids under which the main thread and two others ran
    process_pids: int
    steps: int  # that three threads made, all for the same stretch of time
    switches: int  # from a step of one of them to a step of another
    with_gil: bool
    compute_threads: list[Timing]  # of 1, 2, 4 and 8 tasks
    compute_processes: list[Timing]
    wait_threads: list[Timing]
    wait_processes: list[Timing]


def compute() -> None:
    sum(number * number for number in range(NUMBERS))


def wait() -> None:
    time.sleep(WAIT_S)


def step(turns: list[str], barrier: threading.Barrier, name: str) -> None:
    barrier.wait()
    end = time.monotonic() + TURNS_S
    while time.monotonic() < end:
        turns.append(name)


def interleave() -> tuple[int, int]:
    """Return how often the step of one thread follows that of another, while three take steps for as long."""
    turns: list[str] = []
    barrier = threading.Barrier(3)
    others = [threading.Thread(target=step, args=(turns, barrier, name)) for name in "AB"]
    for other in others:
        other.start()
    step(turns, barrier, "main")
    for other in others:
        other.join()
    return len(turns), sum(a != b for a, b in itertools.pairwise(turns))


def pids_of_threads() -> int:
    pids = {os.getpid()}
    threads = [threading.Thread(target=lambda: pids.add(os.getpid())) for _ in range(2)]
    run_all(threads)
    return len(pids)


def run_all(workers: Iterable[Any]) -> None:
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


def timed(kind: Callable[..., Any], task: Callable[[], None], tasks: int) -> Timing:
    """Run tasks at once; return what they took, and the CPU time of this process and of its children."""
    began, cpu_began = time.perf_counter(), cpu_s()
    run_all([kind(target=task) for _ in range(tasks)])
    return Timing(time.perf_counter() - began, cpu_s() - cpu_began)


def cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def efficiency(context: Context, timeline: Timeline) -> list[list[Timing]]:
    """Measure in a process of its own, which has started nothing else."""
    found = []
    for task in (compute, wait):
        for kind, name in ((threading.Thread, "threads"), (context.Process, "processes")):
            timings = [timed(kind, task, tasks) for tasks in TASKS]
            timeline(f"{task.__name__} in {name}: {', '.join(f'{t.elapsed_s:.2f} s' for t in timings)}")
            found.append(timings)
    return found


def experiment(bench: Bench) -> Evidence:
    steps, switches = bench.start(interleave).result()
    figures = bench.start(efficiency, bench.context, bench.timeline, name="efficiency").result()
    return Evidence(
        thread_pids=bench.start(pids_of_threads).result(),
        process_pids=len({os.getpid(), *(bench.start(os.getpid).result() for _ in range(2))}),
        steps=steps,
        switches=switches,
        with_gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
        compute_threads=figures[0],
        compute_processes=figures[1],
        wait_threads=figures[2],
        wait_processes=figures[3],
    )


def verdict(seen: Evidence) -> Verdict:
    if seen.thread_pids > 1:
        return refuted("threads have pids of their own", "线程有各自的 pid")
    if seen.switches < 4:
        return refuted("the threads ran one after the other", "各线程是依次运行的")
    if max(timing.cores for timing in seen.compute_threads) > 1.3:
        return holds_when(
            "the interpreter has a GIL; without one they run at the same time",
            "解释器有 GIL；没有 GIL 时它们同时运行",
        )
    if seen.wait_threads[-1].elapsed_s > TASKS[-1] * WAIT_S:
        return refuted("waiting threads wait one after the other", "等待中的线程依次等待")
    return holds(
        "they take turns: however many compute, the GIL lets one of them run Python code at a time; while "
        "they wait, they wait together. Processes, each with a pid and a GIL of its own, compute side by "
        "side",
        "它们轮流执行：无论多少线程在计算，GIL 每次只让一个线程运行 Python 代码；等待时则一起等待。"
        "进程各有自己的 pid 和 GIL，可以并行计算",
    )


def show(seen: Evidence) -> list[Row]:
    def times(timings: list[Timing]) -> str:
        return " / ".join(f"{timing.elapsed_s:.2f}" for timing in timings) + " s"

    def cores(timings: list[Timing]) -> str:
        return " / ".join(f"{timing.cores:.1f}" for timing in timings)

    counts = " / ".join(map(str, TASKS))
    return [
        Row(
            Text("pids of 3 threads; of 3 processes", "3 个线程的 pid 数；3 个进程的 pid 数"),
            f"{seen.thread_pids}; {seen.process_pids}",
            key=True,
        ),
        Row(
            Text("switches between 3 threads; steps they made", "3 个线程之间的切换次数；总步数"),
            f"{seen.switches}; {seen.steps}",
        ),
        Row(
            Text(f"{counts} computing tasks: threads", f"{counts} 个计算任务：线程"),
            times(seen.compute_threads),
            key=True,
        ),
        Row(Text("– processes", "——进程"), times(seen.compute_processes), key=True),
        Row(
            Text("– cores' worth of CPU: threads", "——占用的核数：线程"),
            cores(seen.compute_threads),
        ),
        Row(Text("– cores' worth of CPU: processes", "——占用的核数：进程"), cores(seen.compute_processes)),
        Row(
            Text(f"{counts} tasks that wait {WAIT_S} s: threads", f"{counts} 个等待 {WAIT_S} s 的任务：线程"),
            times(seen.wait_threads),
            key=True,
        ),
        Row(Text("– waiting in processes", "——在进程中等待"), times(seen.wait_processes)),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=24,
    section="threads",
    statement=Text(
        "The threads of a process and its main thread run interleaved, under one pid.",
        "同一进程的各线程与主线程交替执行，pid 相同。",
    ),
    practice=Text(
        "Threads for what waits (network, disk, other processes), processes for what computes in Python, and "
        "no more of these than cores. Code that releases the GIL (compression, hashing, NumPy) is the "
        "exception.",
        "会等待的工作（网络、磁盘、其他进程）用线程；用 Python 计算的工作用进程，且进程数不要超过核数。"
        "会释放 GIL 的代码（压缩、哈希、NumPy）是例外。",
    ),
    sources=(
        Source(
            "Glossary: global interpreter lock",
            "https://docs.python.org/3/glossary.html#term-global-interpreter-lock",
        ),
        Source("sys.setswitchinterval", "https://docs.python.org/3/library/sys.html#sys.setswitchinterval"),
        Source("how the GIL is passed on", "Python/ceval_gil.c"),
    ),
    recorded="holds",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
