"""21, and what a killed worker does: a Pool waits for ever for its task, a ProcessPoolExecutor gives up."""

import array
import fcntl
import os
import signal
import termios
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Semaphore
from typing import Any

import msgspec
import psutil

from ipclab.claims import (
    Bench,
    Child,
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
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

RESULT_BYTES = 1_000_000

pids: Any  # in the workers of a pool, from its initializer, as the next one
gate: Any


class Evidence(msgspec.Struct, frozen=True):
    busy: Fate  # of the caller of a Pool that waits for the result of a worker that was killed
    pool_went_on: bool  # whether that Pool did another task before
    idle: Fate  # of a caller that gives a Pool a task after an idle worker was killed
    executor: str  # what the result of a killed worker raises with ProcessPoolExecutor
    executor_other: str  # the result of a task that another worker had
    executor_later: str  # another task after that
    sending: Fate  # of the caller of an executor, whose worker was killed while it sent a large result
    after_sending: Fate  # of one that asks that executor for another task then


def equip(the_pids: SimpleQueue[int], the_gate: Connection | None = None) -> None:
    global pids, gate
    pids, gate = the_pids, the_gate


def stay() -> None:
    pids.put(os.getpid())
    time.sleep(60)


def large() -> bytes:
    """Return a result that is more than a pipe holds; begin when something is in the gate."""
    pids.put(os.getpid())
    gate.recv()
    return bytes(RESULT_BYTES)


def pid() -> int:
    return os.getpid()


def kill(worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def busy(context: Context, went_on: Any, timeline: Timeline, killed: Semaphore) -> None:
    pids = context.SimpleQueue()
    with context.Pool(2, equip, [pids]) as pool:
        result = pool.apply_async(stay)
        kill(pids.get())
        timeline("a busy worker of a Pool was killed")
        went_on.value = pool.apply(pid) > 0
        timeline("the Pool has done another task")
        killed.release()
        return result.get()


def idle(context: Context, timeline: Timeline, killed: Semaphore) -> int:
    with context.Pool(1) as pool:
        worker = pool.apply(pid)
        waits: Any = pool._inqueue._rlock  # type: ignore[attr-defined]
        while waits.acquire(block=False):  # until the worker waits for a task
            waits.release()
        kill(worker)
        timeline("an idle worker of a Pool was killed")
        killed.release()
        return pool.apply(pid)


def error_of(function: Callable[..., Any], *args: Any) -> str:
    try:
        function(*args)
    except BrokenProcessPool as error:
        return type(error).__name__
    return "nothing"


def executor(context: Context, timeline: Timeline) -> tuple[str, ...]:
    pids = context.SimpleQueue()
    with ProcessPoolExecutor(2, context, equip, (pids,)) as pool:
        results = [pool.submit(stay) for _ in range(2)]
        kill(pids.get())
        timeline("a busy worker of a ProcessPoolExecutor was killed")
        errors = [error_of(result.result) for result in results]
        return *errors, error_of(pool.submit, pid)


def lose_a_sender(context: Context, gate: Connection, report: Connection, later: bool) -> Any:
    pids = context.SimpleQueue()
    pool = ProcessPoolExecutor(1, context, equip, (pids, gate))
    lost = pool.submit(large)
    report.send(pids.get())
    gate.poll(None)  # the worker is killed meanwhile
    return (pool.submit(pid) if later else lost).result()


def state(pid: int) -> str:
    return psutil.Process(pid).status()


def unread(reading: Connection) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(reading.fileno(), termios.FIONREAD, count)
    return count[0]


def killed_sending(bench: Bench, later: bool) -> Child:
    """Stop the caller, so that its worker is in the middle of sending a result when it is killed."""
    (gate, opener), (told, report) = bench.context.Pipe(duplex=False), bench.context.Pipe(duplex=False)
    caller = bench.start(
        lose_a_sender, bench.context, gate, report, later, name="later" if later else "asker"
    )
    bench.until(told.poll, "the worker to begin")
    worker = told.recv()
    caller.stop()
    bench.until(lambda: state(caller.pid) == psutil.STATUS_STOPPED, "the caller to stop")
    opener.send("open")
    bench.until(
        lambda: not unread(gate) and state(worker) == psutil.STATUS_SLEEPING, "the worker to be in its result"
    )
    kill(worker)
    bench.timeline("a worker of a ProcessPoolExecutor was killed while it sent a result")
    opener.send("killed")
    caller.resume()
    return caller


def experiment(bench: Bench) -> Evidence:
    went_on, killed = bench.context.RawValue("b"), bench.context.Semaphore(0)
    callers = [
        bench.start(busy, bench.context, went_on, bench.timeline, killed, name="busy"),
        bench.start(idle, bench.context, bench.timeline, killed, name="idle"),
    ]
    found = bench.start(executor, bench.context, bench.timeline, name="executor").result()
    for _ in callers:
        bench.reached(killed, "a worker to be killed")
    callers += [killed_sending(bench, later) for later in (False, True)]
    busy_fate, idle_fate, *sending = [caller.watch(1.0) for caller in callers]
    return Evidence(busy_fate, bool(went_on.value), idle_fate, *found, *sending)


def verdict(seen: Evidence) -> Verdict:
    if not seen.busy.hung and not seen.idle.hung:
        return holds("the callers of a Pool got an answer", "Pool 的调用者得到了答复")
    if seen.executor == "nothing":
        return refuted("a ProcessPoolExecutor does not tell, either", "ProcessPoolExecutor 也不会报告")
    other, later = seen.executor_other != "nothing", seen.executor_later != "nothing"
    fails = Text("every task that it has", "手上的所有任务") if other else Text("that task", "该任务")
    no_more = Text(", and takes no more", "，并不再接受任务") if later else Text("", "")
    who = Text("the callers of a Pool wait", "Pool 的调用者则永远等待")
    if not seen.busy.hung:
        who = Text(
            "who calls a Pool after an idle worker was killed waits", "空闲进程被杀后，Pool 的调用者永远等待"
        )
    elif not seen.idle.hung:
        who = Text("who asked a Pool for that task waits", "等待该任务的 Pool 调用者则永远等待")
    but = Text("", "")
    if seen.sending.hung:
        but = Text(
            " and the worker is not killed while it sends a result, after which it waits for ever, too",
            "，且工作进程不是在发送结果的途中被杀（否则它也永远等待）",
        )
    return holds_when(
        f"it is a ProcessPoolExecutor{but.en}; it fails {fails.en}{no_more.en}; {who.en} for ever",
        f"用的是 ProcessPoolExecutor{but.zh}：它会让{fails.zh}失败{no_more.zh}；{who.zh}",
    )


def show(seen: Evidence) -> list[Row]:
    returned, yes, no = Text("has returned", "已返回"), Text("yes", "是"), Text("no", "否")
    return [
        Row(
            Text("Pool, a busy worker was killed: get()", "Pool，忙碌的工作进程被杀：get()"),
            seen.busy.text(returned),
            key=True,
        ),
        Row(
            Text("the same Pool did another task", "同一个 Pool 又完成了别的任务"),
            yes if seen.pool_went_on else no,
        ),
        Row(
            Text("Pool, an idle worker was killed: next apply()", "Pool，空闲的工作进程被杀：下一个 apply()"),
            seen.idle.text(returned),
            key=True,
        ),
        Row(
            Text(
                "ProcessPoolExecutor, a busy worker was killed: its task raises",
                "ProcessPoolExecutor，忙碌的工作进程被杀：其任务抛出",
            ),
            seen.executor,
            key=True,
        ),
        Row(Text("the task of another worker raises", "其他工作进程的任务抛出"), seen.executor_other),
        Row(Text("a later submit() raises", "之后的 submit() 抛出"), seen.executor_later),
        Row(
            Text(
                "ProcessPoolExecutor, a worker was killed while it sent a large result: result()",
                "ProcessPoolExecutor，工作进程在发送大结果的途中被杀：result()",
            ),
            seen.sending.text(returned),
            key=True,
        ),
        Row(Text("a later submit().result()", "之后的 submit().result()"), seen.after_sending.text(returned)),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=21,
    section="pools",
    statement=Text("A pool tells when one of its workers was killed.", "进程池会报告工作进程被杀。"),
    practice=Text(
        "Where a worker may die (out of memory, a crash in C code), use ProcessPoolExecutor, and on "
        "BrokenProcessPool make a new one and repeat what is harmless to repeat: any task may have been "
        "carried out. Call result(timeout) as well, or get(timeout) of a Pool, and after a time-out make a "
        "new one: of a worker that is killed in the middle of a result nothing is ever heard. Write large "
        "results to a file, and return its name.",
        "若工作进程可能死亡（内存不足、C 代码崩溃），用 ProcessPoolExecutor，遇到 BrokenProcessPool 就新建，"
        "并只重试可以安全重复的任务：任何任务都可能已经执行过。"
        "还要调用 result(timeout)（Pool 则是 get(timeout)），超时后换新的：工作进程若在发送结果的途中被杀，"
        "不会有任何报告。大结果写入文件，只返回文件名。",
    ),
    sources=(
        Source(
            "concurrent.futures: BrokenProcessPool",
            "https://docs.python.org/3/library/concurrent.futures.html#concurrent.futures.process.BrokenProcessPool",
        ),
        Source("CPython: Pool._maintain_pool replaces, and tells nobody", "Lib/multiprocessing/pool.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
