"""5. A semaphore is a lock plus a counter: it lets n processes in at a time."""

import threading
import time
from multiprocessing.synchronize import Barrier, Event, Lock, Semaphore
from typing import Any

import msgspec

from ipclab.claims import (
    PATIENCE_S,
    Bench,
    Child,
    Fate,
    Row,
    Source,
    Text,
    Verdict,
    claim,
    holds,
    holds_when,
    joined,
    refuted,
)
from ipclab.program import main_of_claim

PROCESSES, PERMITS = 8, 2


class Evidence(msgspec.Struct, frozen=True):
    most_inside: int  # of PROCESSES, under a semaphore of PERMITS
    most_inside_of_one: int  # under a semaphore of 1
    most_inside_a_lock: int
    most_after_extra_release: int  # under PERMITS, after one release without an acquire
    bounded_extra_release: Fate  # the same release of a BoundedSemaphore that nobody holds
    bounded_stray_release: Fate  # the same while another process holds one of its permits
    bounded_inside: int  # processes that can be inside after that, the holder included
    bounded_holder: Fate  # of the holder, whose own release is the right one
    lock_extra_release: Fate  # and of a Lock that nobody holds
    after_a_killed_holder: int  # permits that are left of PERMITS
    after_all_killed: Fate  # of the next process that wants one
    after_a_killed_waiter: int
    thread_parts: list[str]  # what a threading.Semaphore is made of
    lock_is_a_semaphore_of: int  # the highest count of the semaphore that a multiprocessing.Lock is


def go_in(semaphore: Semaphore | Lock, inside: Any, most: Any, everybody: Barrier) -> None:
    everybody.wait()
    with semaphore:
        with inside.get_lock():
            inside.value += 1
            most.value = max(most.value, inside.value)
        time.sleep(0.1)  # long enough for others to come in if they could
        with inside.get_lock():
            inside.value -= 1


def most_inside(bench: Bench, semaphore: Semaphore | Lock) -> int:
    inside, most = bench.context.Value("i", 0), bench.context.Value("i", 0)
    everybody = bench.context.Barrier(PROCESSES)
    for child in [bench.start(go_in, semaphore, inside, most, everybody) for _ in range(PROCESSES)]:
        child.result()
    bench.timeline(f"{type(semaphore).__name__}: at most {most.value} of {PROCESSES} inside")
    return int(most.value)


def hold(semaphore: Semaphore, has_it: Event, let_go: Event) -> None:
    with semaphore:
        has_it.set()
        let_go.wait()


def holder(bench: Bench, semaphore: Semaphore) -> Child:
    has_it = bench.context.Event()
    child = bench.start(hold, semaphore, has_it, bench.context.Event(), name="holder")
    has_it.wait()
    return child


def stray_release(bench: Bench) -> tuple[Fate, int, Fate]:
    """Release a BoundedSemaphore once too often, while somebody is inside."""
    bounded, has_it, let_go = (
        bench.context.BoundedSemaphore(PERMITS),
        bench.context.Event(),
        bench.context.Event(),
    )
    inside = bench.start(hold, bounded, has_it, let_go, name="holder")
    has_it.wait()
    stray = bench.start(bounded.release, name="stray").watch(PATIENCE_S)
    others = bench.start(permits, bounded).result()
    bench.timeline(f"stray release {stray.outcome}: {others} others get in beside the holder")
    let_go.set()
    return stray, 1 + others, inside.watch(PATIENCE_S)


def take(semaphore: Semaphore) -> None:
    semaphore.acquire()


def permits(semaphore: Semaphore) -> int:
    """Count what can be had, and give it back."""
    had = 0
    while semaphore.acquire(timeout=0.5):
        had += 1
    for _ in range(had):
        semaphore.release()
    return had


def experiment(bench: Bench) -> Evidence:
    context = bench.context
    over = context.Semaphore(PERMITS)
    over.release()

    killed = context.Semaphore(PERMITS)
    holder(bench, killed).kill()
    left = bench.start(permits, killed).result()
    bench.timeline(f"a holder was killed: {left} of {PERMITS} permits left")
    for _ in range(left):
        holder(bench, killed).kill()
    nobody_left = bench.start(take, killed, name="next").watch()
    bench.timeline(f"all holders were killed; the next one {nobody_left.outcome}")

    stray, bounded_inside, bounded_holder = stray_release(bench)
    waited = context.Semaphore(PERMITS)
    for _ in range(PERMITS):
        waited.acquire()
    waiter = bench.start(take, waited, name="waiter")
    waiter.watch(0.3)
    waiter.kill()
    for _ in range(PERMITS):
        waited.release()

    return Evidence(
        most_inside=most_inside(bench, context.Semaphore(PERMITS)),
        most_inside_of_one=most_inside(bench, context.Semaphore(1)),
        most_inside_a_lock=most_inside(bench, context.Lock()),
        most_after_extra_release=most_inside(bench, over),
        bounded_extra_release=bench.start(context.BoundedSemaphore(PERMITS).release).watch(PATIENCE_S),
        bounded_stray_release=stray,
        bounded_inside=bounded_inside,
        bounded_holder=bounded_holder,
        lock_extra_release=bench.start(context.Lock().release).watch(PATIENCE_S),
        after_a_killed_holder=left,
        after_all_killed=nobody_left,
        after_a_killed_waiter=bench.start(permits, waited).result(),
        thread_parts=sorted(
            f"{name}: {type(part).__name__}" for name, part in vars(threading.Semaphore()).items()
        ),
        lock_is_a_semaphore_of=context.Lock()._semlock.maxvalue,  # type: ignore[attr-defined]
    )


def verdict(seen: Evidence) -> Verdict:
    if seen.most_inside != PERMITS:
        return refuted(
            f"{seen.most_inside} were inside a semaphore of {PERMITS}",
            f"值为 {PERMITS} 的信号量内同时有 {seen.most_inside} 个进程",
        )
    if seen.most_inside_of_one != seen.most_inside_a_lock:
        return refuted(
            f"{seen.most_inside_of_one} were inside a semaphore of 1, and {seen.most_inside_a_lock} inside a "
            "lock",
            f"值为 1 的信号量内同时有 {seen.most_inside_of_one} 个进程，锁内有 {seen.most_inside_a_lock} 个",
        )
    conditions, reasons = [], []
    if (more := seen.most_after_extra_release - PERMITS) > 0:
        conditions.append(Text("every release follows an acquire", "每次 release 之前都有 acquire"))
        reasons.append(
            Text(
                f"an extra release lets {more} more in for good", f"多一次 release 就永久多放进 {more} 个进程"
            )
        )
        if seen.bounded_stray_release.outcome == "returned" and seen.bounded_inside > PERMITS:
            reasons.append(
                Text(
                    "so does one of a BoundedSemaphore while somebody is inside",
                    "有进程在内时，BoundedSemaphore 也是如此",
                )
            )
    if seen.after_a_killed_holder < PERMITS or seen.after_all_killed.hung:
        conditions.append(Text("no holder dies", "持有者不会死亡"))
        reasons.append(Text("a killed holder's permit is gone", "被杀的持有者的名额永远丢失"))
    if seen.after_a_killed_waiter < PERMITS:
        conditions.append(Text("no waiter dies", "等待者不会死亡"))
        reasons.append(Text("a killed waiter takes a permit with it", "被杀的等待者会带走一个名额"))
    if conditions:
        need, why = joined(conditions), joined(reasons, zh="，")
        return holds_when(
            f"{need.en}: the counter has no owner, so {why.en}", f"{need.zh}。计数器没有所有者，{why.zh}"
        )
    return holds("the count was kept whatever happened", "无论发生什么，计数都保持正确")


def show(seen: Evidence) -> list[Row]:
    let = Text("accepted", "被接受")
    of = f"/ {PROCESSES}"
    return [
        Row(
            Text(f"most inside, semaphore of {PERMITS}", f"值为 {PERMITS} 的信号量：同时在内的最大进程数"),
            f"{seen.most_inside} {of}",
            key=True,
        ),
        Row(
            Text("semaphore of 1; lock", "值为 1 的信号量；锁"),
            f"{seen.most_inside_of_one} {of}; {seen.most_inside_a_lock} {of}",
        ),
        Row(
            Text(f"semaphore of {PERMITS} after an extra release", f"值为 {PERMITS}，多 release 一次之后"),
            f"{seen.most_after_extra_release} {of}",
            key=True,
        ),
        Row(
            Text("extra release of a free BoundedSemaphore", "对空闲的 BoundedSemaphore 多 release 一次"),
            seen.bounded_extra_release.text(let),
        ),
        Row(
            Text("the same while one process is inside", "有一个进程在内时多 release 一次"),
            seen.bounded_stray_release.text(let),
            key=True,
        ),
        Row(
            Text(
                f"inside a BoundedSemaphore of {PERMITS} after that",
                f"此后值为 {PERMITS} 的 BoundedSemaphore 可容纳",
            ),
            str(seen.bounded_inside),
            key=True,
        ),
        Row(
            Text("the release of the process that was inside", "原来在内的进程自己的 release"),
            seen.bounded_holder.text(let),
        ),
        Row(
            Text("release of a free Lock", "对未上锁的 Lock 调用 release"), seen.lock_extra_release.text(let)
        ),
        Row(
            Text("permits left after one holder was killed", "一个持有者被杀后剩余名额"),
            f"{seen.after_a_killed_holder} / {PERMITS}",
            key=True,
        ),
        Row(
            Text("after all holders were killed, the next one", "所有持有者被杀后，下一个进程"),
            seen.after_all_killed.text(Text("gets in", "得以进入")),
            key=True,
        ),
        Row(
            Text("permits left after a waiter was killed", "一个等待者被杀后剩余名额"),
            f"{seen.after_a_killed_waiter} / {PERMITS}",
        ),
        Row(
            Text("parts of a threading.Semaphore", "threading.Semaphore 的组成"), ", ".join(seen.thread_parts)
        ),
        Row(
            Text(
                "a multiprocessing.Lock is a semaphore that counts to",
                "multiprocessing.Lock 就是计数上限为此的信号量",
            ),
            str(seen.lock_is_a_semaphore_of),
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=5,
    section="locks",
    statement=Text("A semaphore is a lock plus a counter.", "信号量等于锁加计数器。"),
    practice=Text(
        "Acquire and release only by a `with` block. A BoundedSemaphore helps to find a release too many, "
        "but it raises only when all permits are back: while somebody is inside, one more gets in, and the "
        "error comes to a process that did nothing wrong. Where holders may be killed, bound the number of "
        "workers by a ProcessPoolExecutor instead.",
        "只用 `with` 取得和释放。BoundedSemaphore 有助于发现多余的 release，"
        "但只有在名额全部归还时才抛出异常：有进程在内时会多放进一个进程，"
        "而异常落在没有过错的进程上。持有者可能被杀时，改用 ProcessPoolExecutor 来限制工作进程数。",
    ),
    sources=(
        Source(
            "multiprocessing: Semaphore and BoundedSemaphore",
            "https://docs.python.org/3/library/multiprocessing.html#multiprocessing.BoundedSemaphore",
        ),
        Source("threading.Semaphore: a condition and a number", "Lib/threading.py"),
        Source(
            "multiprocessing: Lock and Semaphore are the same SemLock", "Lib/multiprocessing/synchronize.py"
        ),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
