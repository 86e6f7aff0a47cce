"""1. A process is ready, running or blocked."""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

from ipclab.claims import (
    Bench,
    Child,
    NotRunError,
    Row,
    Share,
    Source,
    Text,
    Verdict,
    claim,
    holds,
    holds_when,
    refuted,
)
from ipclab.host.resources import cpu_s, queued_s
from ipclab.program import main_of_claim

RIVALS, WINDOW_S = 4, 1.0


class Spell(msgspec.Struct, frozen=True):
    """What processes that share one core did in a stretch of time, in seconds summed over all of them."""

    elapsed_s: float
    ran_s: float
    queued_s: float  # ready, and waiting for the core


class Evidence(msgspec.Struct, frozen=True):
    alone: Spell  # one process that computes, with the core to itself
    rivals: Spell  # several that compute, on one core
    all_running: Share  # looks at the rivals that found every one of them in the state "running"
    sleep: str  # the states that the system reports for a process in time.sleep,
    pipe: str  # waiting for data from a pipe,
    lock: str  # waiting for a lock,
    stopped: str  # stopped by SIGSTOP,
    zombie: str  # and ended, with its parent not having asked how
    disk: Share  # looks at a process that does nothing but fsync which found it in "disk-sleep"


def state(child: Child) -> str:
    return psutil.Process(child.pid).status()


def compute(core: int) -> None:
    os.sched_setaffinity(0, {core})
    while True:
        pass


def sync(path: Path) -> None:
    with open(path, "wb") as file:
        while True:
            file.write(bytes(100_000))
            file.flush()
            os.fsync(file.fileno())


def spell(children: Sequence[Child], looks: list[bool]) -> Spell:
    began = time.monotonic()
    before = [(cpu_s(child.pid), queued_s(child.pid)) for child in children]
    while time.monotonic() < began + WINDOW_S:
        looks.append(all(state(child) == psutil.STATUS_RUNNING for child in children))
        time.sleep(0.01)
    after = [(cpu_s(child.pid), queued_s(child.pid)) for child in children]
    ran, queued = (sum(b[i] - a[i] for a, b in zip(before, after, strict=True)) for i in (0, 1))  # type: ignore[misc, operator]
    return Spell(time.monotonic() - began, ran, queued)


def on_one_core(bench: Bench, processes: int) -> tuple[Spell, Share]:
    core = min(os.sched_getaffinity(0))
    looks: list[Any] = []
    children = [bench.start(compute, core, name=f"computing-{n}") for n in range(processes)]
    bench.until(lambda: all(psutil.Process(c.pid).cpu_affinity() == [core] for c in children), "one core")
    seen = spell(children, looks)
    bench.timeline(f"{processes} on one core: {seen.ran_s:.2f} s run, {seen.queued_s:.2f} s queued")
    for child in children:
        child.kill()
    return seen, Share(sum(looks), len(looks))


def blocked(bench: Bench, what: str, function: Callable[..., Any], *arguments: Any) -> str:
    child = bench.start(function, *arguments, name=what)
    child.watch(0.1)
    bench.timeline(f"in {what}: {state(child)}")
    return state(child)


def after_a_stop(bench: Bench) -> str:
    child = bench.start(compute, min(os.sched_getaffinity(0)), name="to be stopped")
    child.stop()
    found = other_state(bench, child)
    child.kill()
    bench.timeline(f"after SIGSTOP: {found}")
    return found


def after_its_end(bench: Bench) -> str:
    child = bench.start(int, name="short")
    # Asking multiprocessing whether it lives would be the very thing that ends a zombie.
    found = other_state(bench, child)
    bench.timeline(f"ended, and nobody has asked how: {found}")
    return found


def other_state(bench: Bench, child: Child) -> str:
    """Return its state as soon as that is none of those in which a process works or waits."""
    usual = (psutil.STATUS_RUNNING, psutil.STATUS_SLEEPING, psutil.STATUS_DISK_SLEEP)
    bench.until(lambda: state(child) not in usual, "another state")
    return state(child)


def in_fsync(bench: Bench) -> Share:
    child = bench.start(sync, bench.folder / "synced", name="syncing")
    looks: list[Any] = []
    while len(looks) < 200:
        looks.append(state(child) == psutil.STATUS_DISK_SLEEP)
        time.sleep(0.002)
    child.kill()
    return Share(sum(looks), len(looks))


def experiment(bench: Bench) -> Evidence:
    if queued_s(os.getpid()) is None:
        raise NotRunError("this system does not tell how long a process waited for a processor")
    reader, writer = bench.context.Pipe(duplex=False)
    lock = bench.context.Lock()
    lock.acquire()
    alone, _ = on_one_core(bench, 1)
    rivals, all_running = on_one_core(bench, RIVALS)
    evidence = Evidence(
        alone=alone,
        rivals=rivals,
        all_running=all_running,
        sleep=blocked(bench, "time.sleep", time.sleep, 60),
        pipe=blocked(bench, "pipe.recv", reader.recv),
        lock=blocked(bench, "lock.acquire", lock.acquire),
        stopped=after_a_stop(bench),
        zombie=after_its_end(bench),
        disk=in_fsync(bench),
    )
    writer.close()
    return evidence


def verdict(seen: Evidence) -> Verdict:
    one_at_a_time = seen.rivals.ran_s < 1.5 * seen.rivals.elapsed_s
    if not (one_at_a_time and seen.rivals.queued_s > 1.5 * seen.rivals.ran_s):
        return refuted(
            f"{RIVALS} processes on one core did not wait for each other",
            f"同一个核上的 {RIVALS} 个进程没有互相等待",
        )
    if "running" in (seen.sleep, seen.pipe, seen.lock):
        return refuted("what waits is reported as running", "正在等待的进程被报告为 running")
    if {seen.stopped, seen.zombie} & {"stopped", "zombie"}:
        return holds_when(
            "it is alive and nobody has stopped it: stopped and zombie are states of their own. The system "
            "reports one state for ready and running; only the time spent in the run queue tells them apart",
            "进程活着且未被暂停。停止（stopped）和僵尸（zombie）是另外的状态；"
            "系统对就绪和运行报告同一个状态，只有运行队列中的等待时间能区分两者",
        )
    return holds("no other state was reported", "没有报告其他状态")


def show(seen: Evidence) -> list[Row]:
    def times(spell: Spell) -> Text:
        return Text(
            f"{spell.ran_s:.2f} s running, {spell.queued_s:.2f} s ready",
            f"运行 {spell.ran_s:.2f} s，就绪等待 {spell.queued_s:.2f} s",
        )

    rivals = seen.rivals.elapsed_s
    return [
        Row(
            Text(
                f"1 computing process on a core, {seen.alone.elapsed_s:.1f} s",
                f"一个核上 1 个计算进程，{seen.alone.elapsed_s:.1f} s",
            ),
            times(seen.alone),
        ),
        Row(
            Text(f"{RIVALS} on one core, {rivals:.1f} s", f"同一个核上 {RIVALS} 个，{rivals:.1f} s"),
            times(seen.rivals),
            key=True,
        ),
        Row(
            Text(
                f"looks at which all {RIVALS} were reported as running",
                f"{RIVALS} 个同时被报告为 running 的次数",
            ),
            seen.all_running.text(),
            key=True,
        ),
        Row(Text("in time.sleep", "time.sleep 中"), seen.sleep),
        Row(Text("waiting for a pipe", "等待管道数据"), seen.pipe),
        Row(Text("waiting for a lock", "等待锁"), seen.lock),
        Row(Text("in fsync: looks that found disk-sleep", "fsync 中：观察到 disk-sleep"), seen.disk.text()),
        Row(Text("after SIGSTOP", "SIGSTOP 之后"), seen.stopped, key=True),
        Row(Text("ended, not waited for", "已结束但父进程未回收"), seen.zombie, key=True),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=1,
    section="processes",
    statement=Text("A process is ready, running or blocked.", "进程有就绪、运行、阻塞三种状态。"),
    practice=Text(
        "`R` in top or ps does not mean that a process computes: look at its run-queue wait "
        "(/proc/PID/schedstat) before you buy cores. `S` is normal waiting, a lasting `D` is a slow disk or "
        "network file system, `T` waits for SIGCONT, and `Z` for its parent to call join().",
        "top 或 ps 中的 `R` 并不说明进程正在计算：增加核数之前，先看它在运行队列中的等待时间"
        "（/proc/PID/schedstat）。`S` 是正常等待；持续的 `D` 说明磁盘或网络文件系统慢；"
        "`T` 在等 SIGCONT；`Z` 在等父进程调用 join()。",
    ),
    sources=(
        Source(
            "proc_pid_stat(5): the states that Linux reports",
            "https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html",
        ),
        Source("Linux: the three fields of schedstat", "https://docs.kernel.org/scheduler/sched-stats.html"),
        Source(
            "multiprocessing: joining zombie processes",
            "https://docs.python.org/3/library/multiprocessing.html#all-start-methods",
        ),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
