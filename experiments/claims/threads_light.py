"""23. Threads are concurrent, light and share data; processes are concurrent, heavy and isolated."""

import os
import statistics
import threading
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ipclab.claims import Bench, Row, Source, Text, Verdict, claim, holds, holds_when, refuted
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

Start = Callable[..., Any]
AnyBarrier = Any

STARTS, IDLE = 30, 20
CHANGED: list[str] = []


class Kind(msgspec.Struct, frozen=True):
    """What was seen of threads, or of processes."""

    met: bool  # several were inside the same stretch of code at the same time
    start_ms: float  # least time to start one and to wait for its end
    memory_kib: float  # own memory for each that does nothing
    change_seen: bool  # the starter sees what one does to a global list
    offset_moved: bool  # the starter's place in an open file moves when one reads from it


class Evidence(msgspec.Struct, frozen=True):
    threads: Kind
    forked: Kind
    spawn_ms: float


def thread(function: Callable[..., Any], *arguments: Any) -> threading.Thread:
    started = threading.Thread(target=function, args=arguments)
    started.start()
    return started


def process(context: Context) -> Start:
    def start(function: Callable[..., Any], *arguments: Any) -> BaseProcess:
        started = context.Process(target=function, args=arguments)
        started.start()
        return started

    return start


def meet(barrier: AnyBarrier) -> None:
    barrier.wait(20)


def met(start: Start, barrier: AnyBarrier) -> bool:
    others = [start(meet, barrier) for _ in range(barrier.parties - 1)]
    try:
        barrier.wait(20)
    except threading.BrokenBarrierError:
        return False
    for other in others:
        other.join()
    return True


def start_ms(start: Start, times: int = STARTS) -> float:
    taken = []
    for _ in range(times):
        began = time.perf_counter()
        start(int).join()
        taken.append(1000 * (time.perf_counter() - began))
    return min(taken)  # the others also waited for a processor, where the machine was busy


def own_memory_kib(pid: int | None) -> float:
    return psutil.Process(pid).memory_full_info().uss / 1024


def of_threads(context: Context, path: Path) -> Kind:
    """Measure in a process of its own, so that its memory is only that of its threads."""
    stop, before = threading.Event(), own_memory_kib(os.getpid())
    idle = [thread(stop.wait) for _ in range(IDLE)]
    memory = (own_memory_kib(os.getpid()) - before) / IDLE
    stop.set()
    for one in idle:
        one.join()
    return kind(thread, threading.Barrier(3), memory, path)


def of_processes(context: Context, path: Path) -> Kind:
    stop = context.Event()
    idle = [process(context)(stop.wait) for _ in range(IDLE)]
    while any(psutil.Process(one.pid).status() != psutil.STATUS_SLEEPING for one in idle):
        time.sleep(0.005)
    memory = statistics.mean(own_memory_kib(one.pid) for one in idle)
    stop.set()
    for one in idle:
        one.join()
    return kind(process(context), context.Barrier(3), memory, path)


def kind(start: Start, barrier: AnyBarrier, memory: float, path: Path) -> Kind:
    with path.open("rb", buffering=0) as file:
        start(CHANGED.append, "changed").join()
        start(file.read, 10).join()
        return Kind(met(start, barrier), start_ms(start), memory, bool(CHANGED), file.tell() == 10)


def experiment(bench: Bench) -> Evidence:
    path = bench.folder / "twenty-bytes"
    path.write_bytes(bytes(20))
    evidence = Evidence(
        threads=bench.start(of_threads, bench.context, path, name="threads").result(),
        forked=bench.start(of_processes, bench.context, path, name="processes").result(),
        spawn_ms=start_ms(lambda f: bench.start(f, method="spawn"), 3),
    )
    for name, seen in (("thread", evidence.threads), ("process", evidence.forked)):
        bench.timeline(f"{name}: {seen.start_ms:.2f} ms to start and join, {seen.memory_kib:.0f} KiB")
    return evidence


def verdict(seen: Evidence) -> Verdict:
    threads, processes = seen.threads, seen.forked
    if not (threads.met and processes.met):
        return refuted("they do not run at the same time", "它们并不同时运行")
    if processes.start_ms < 2 * threads.start_ms or processes.memory_kib < 2 * threads.memory_kib:
        return refuted("a process was no heavier than a thread", "进程并不比线程重")
    if not threads.change_seen or processes.change_seen:
        return refuted("threads do not share memory, or processes do", "线程不共享内存，或进程共享内存")
    if processes.offset_moved:
        return holds_when(
            "isolated means memory: an open file is inherited with its offset, and a child that reads moves "
            "the parent's place in it",
            "“隔离”指的是内存：继承来的打开文件与父进程共用偏移量，子进程一读，父进程的读取位置也随之移动",
        )
    return holds("an open file's offset is isolated as well", "打开文件的偏移量也是隔离的")


def show(seen: Evidence) -> list[Row]:
    threads, processes = seen.threads, seen.forked

    def seen_or_not(yes: bool) -> tuple[str, str]:
        return ("seen by the starter", "启动者可见") if yes else ("not seen", "不可见")

    change = [seen_or_not(kind.change_seen) for kind in (threads, processes)]
    offset = [seen_or_not(kind.offset_moved) for kind in (threads, processes)]
    return [
        Row(
            Text(
                "start and join, fastest: thread / fork / spawn",
                "启动并 join（最快）：线程 / fork / spawn",
            ),
            f"{threads.start_ms:.2f} / {processes.start_ms:.1f} / {seen.spawn_ms:.0f} ms",
            key=True,
        ),
        Row(
            Text("own memory of an idle one: thread / fork", "空闲时自有内存：线程 / fork 进程"),
            f"{threads.memory_kib:.0f} / {processes.memory_kib:.0f} KiB",
            key=True,
        ),
        Row(
            Text("at work at the same time: thread / process", "能同时运行：线程 / 进程"),
            Text(
                f"{words(threads.met).en} / {words(processes.met).en}",
                f"{words(threads.met).zh} / {words(processes.met).zh}",
            ),
        ),
        Row(
            Text("change of a global list: thread / process", "修改全局列表：线程 / 进程"),
            Text(" / ".join(en for en, _ in change), " / ".join(zh for _, zh in change)),
            key=True,
        ),
        Row(
            Text("move of an open file's offset: thread / fork", "移动打开文件的偏移量：线程 / fork 进程"),
            Text(" / ".join(en for en, _ in offset), " / ".join(zh for _, zh in offset)),
            key=True,
        ),
    ]


def words(yes: bool) -> Text:
    return Text("yes", "是") if yes else Text("no", "否")


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=23,
    section="threads",
    statement=Text(
        "Threads are concurrent, light and share data; processes are concurrent, heavy and isolated.",
        "线程：并发、轻量、共享数据；进程：并发、重量级、数据隔离。",
    ),
    practice=Text(
        "Start threads freely, and processes once (a pool). Open files, sockets and database connections "
        "after the fork, each process its own; what was open before is shared, and two readers steal each "
        "other's bytes.",
        "线程可以随用随启，进程则应只启动一次（用进程池）。文件、套接字、数据库连接应在 fork 之后"
        "由每个进程各自打开；fork 之前打开的会被共享，两个读者会互相抢走对方的数据。",
    ),
    sources=(
        Source(
            "fork(2): open file descriptions are shared", "https://man7.org/linux/man-pages/man2/fork.2.html"
        ),
        Source(
            "multiprocessing: explicitly pass resources to child processes",
            "https://docs.python.org/3/library/multiprocessing.html#programming-guidelines",
        ),
        Source("threading.Thread.start", "Lib/threading.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
