"""22. A thread is the smallest unit that the CPU schedules."""

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from ipclab.claims import Bench, NotRunError, Row, Source, Text, Timeline, Verdict, claim, holds, refuted
from ipclab.program import main_of_claim

COROUTINES = 100


class Evidence(msgspec.Struct, frozen=True):
    """All of it as the system reports it of one process."""

    threads: int  # that the program started, next to its main thread
    tasks: int  # that the kernel has of this process
    own_ids: int  # different kernel ids that the threads have
    states: dict[str, str]  # of each thread at one moment
    cpu_s: dict[str, float]  # that each of them has used
    cores: dict[str, int]  # that each of them may run on, after one was bound to a single core
    coroutine_ids: int  # different kernel ids under which COROUTINES coroutines ran
    with_gil: bool
    parallel: float  # CPU seconds per second that two threads used, both in Python code


def compute(until: threading.Event) -> None:
    while not until.is_set():
        sum(range(100))


def kernel_task(thread: threading.Thread) -> Path:
    return Path(f"/proc/self/task/{thread.native_id}")


def state(thread: threading.Thread) -> str:
    return (kernel_task(thread) / "stat").read_text().rpartition(")")[2].split()[0]


def cpu_s(thread: threading.Thread) -> float:
    return int((kernel_task(thread) / "schedstat").read_text().split()[0]) / 1e9


async def who_runs() -> int:
    await asyncio.sleep(0)
    return threading.get_native_id()


async def coroutines() -> int:
    return len(set(await asyncio.gather(*(who_runs() for _ in range(COROUTINES)))))


def look(timeline: Timeline) -> Evidence:
    """Look, in a process of its own, at three threads that wait, compute, and compute on one core."""
    stop = threading.Event()
    works: dict[str, Callable[..., object]] = {"waiting": stop.wait, "computing": compute, "bound": compute}
    threads = {
        name: threading.Thread(target=work, args=() if work == stop.wait else (stop,), name=name)
        for name, work in works.items()
    }
    for thread in threads.values():
        thread.start()
    # For Linux, the number of a thread will do where a process is asked for.
    os.sched_setaffinity(threads["bound"].native_id, {min(os.sched_getaffinity(0))})  # type: ignore[arg-type]
    while state(threads["waiting"]) == "R":
        time.sleep(0.01)
    began, cpu_began = time.monotonic(), time.process_time()
    time.sleep(1)
    parallel = (time.process_time() - cpu_began) / (time.monotonic() - began)
    seen = Evidence(
        threads=len(threads),
        tasks=len(list(Path("/proc/self/task").iterdir())),
        own_ids=len({thread.native_id for thread in threads.values()}),
        states={name: state(thread) for name, thread in threads.items()},
        cpu_s={name: cpu_s(thread) for name, thread in threads.items()},
        cores={name: len(os.sched_getaffinity(thread.native_id)) for name, thread in threads.items()},  # type: ignore[arg-type]
        coroutine_ids=asyncio.run(coroutines()),
        with_gil=gil(),
        parallel=parallel,
    )
    for name, thread in threads.items():
        timeline(f"{name}: kernel id {thread.native_id}, {seen.states[name]}, {seen.cpu_s[name]:.2f} s CPU")
    stop.set()
    return seen


def gil() -> bool:
    return getattr(sys, "_is_gil_enabled", lambda: True)()


def experiment(bench: Bench) -> Evidence:
    if not Path("/proc/self/task").is_dir():
        raise NotRunError("this system does not show the threads of a process under /proc")
    return bench.start(look, bench.timeline, name="threads").result()  # type: ignore[no-any-return]


def verdict(seen: Evidence) -> Verdict:
    if seen.own_ids < seen.threads or seen.tasks != seen.threads + 1:
        return refuted("the kernel does not know the threads", "内核并不认识这些线程")
    if seen.coroutine_ids > 1:
        return refuted("coroutines are scheduled by the kernel too", "协程也由内核调度")
    apart = seen.states["waiting"] != "R" and seen.cpu_s["computing"] > 10 * seen.cpu_s["waiting"]
    if not apart:
        return refuted("threads are not scheduled apart from their process", "线程没有独立于进程被调度")
    return holds(
        "each has its own id, state, CPU time and affinity in the kernel. What is smaller, such as a "
        "coroutine, is scheduled by the program itself, inside a thread",
        "每个线程在内核中都有自己的编号、状态、CPU 时间和亲和性。更小的单位（如协程）由程序自己在线程内调度",
    )


def show(seen: Evidence) -> list[Row]:
    def each(values: dict[str, str]) -> str:
        return ", ".join(f"{name} {value}" for name, value in values.items())

    return [
        Row(
            Text("threads started; kernel tasks of the process", "启动的线程数；该进程的内核任务数"),
            f"{seen.threads}; {seen.tasks}",
            key=True,
        ),
        Row(Text("states at one moment", "同一时刻的状态"), each(seen.states), key=True),
        Row(
            Text("CPU seconds of each", "各自的 CPU 秒数"),
            each({name: f"{value:.2f}" for name, value in seen.cpu_s.items()}),
        ),
        Row(
            Text("cores that each may use", "各自可用的核数"),
            each({name: str(value) for name, value in seen.cores.items()}),
        ),
        Row(
            Text(f"kernel tasks that ran {COROUTINES} coroutines", f"{COROUTINES} 个协程所用的内核任务数"),
            str(seen.coroutine_ids),
            key=True,
        ),
        Row(
            Text(
                f"cores used by two computing threads ({'with' if seen.with_gil else 'without'} GIL)",
                f"两个计算线程占用的核数（{'有' if seen.with_gil else '无'} GIL）",
            ),
            f"{seen.parallel:.2f}",
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=22,
    section="threads",
    statement=Text("A thread is the smallest unit that the CPU schedules.", "线程是 CPU 调度的最小单位。"),
    practice=Text(
        "Look at threads, not processes, to see what a program does: `top -H`, threading.get_native_id(), "
        "/proc/PID/task. A coroutine that computes or blocks stops all others of its thread: the kernel will "
        "not take the CPU from it for them.",
        "要看清程序在做什么，应观察线程而不是进程：`top -H`、threading.get_native_id()、/proc/PID/task。"
        "协程一旦计算或阻塞，同一线程内的其他协程都会停下：内核不会为了它们而把 CPU 从它那里收走。",
    ),
    sources=(
        Source("proc_pid_task(5)", "https://man7.org/linux/man-pages/man5/proc_pid_task.5.html"),
        Source(
            "threading.get_native_id",
            "https://docs.python.org/3/library/threading.html#threading.get_native_id",
        ),
        Source("a Python thread is a POSIX thread", "Python/thread_pthread.h"),
    ),
    recorded="holds",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
