"""26. A process ends when its main thread and all child threads are done; they work on the same data."""

import threading
from collections.abc import Callable

import msgspec

from ipclab.claims import (
    Bench,
    Row,
    Share,
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

ADDITIONS, ROUNDS = 150_000, 5


class Ended(msgspec.Struct, frozen=True):
    """How a program went: the lines that it printed, its exit code and the last line on stderr."""

    lines: list[str]
    code: int
    error: str


class Race(msgspec.Struct, frozen=True):
    """Two threads that add to one number."""

    with_loss: Share  # rounds in which an update was lost
    lost: int  # updates, in all rounds together
    updates: int


class Evidence(msgspec.Struct, frozen=True):
    unjoined: Ended  # the main thread comes to its end while a child works
    joined: Ended
    daemon: Ended
    child_raises: Ended
    main_raises: Ended
    list_changed: bool  # main sees what a child does to a list that it was given
    number_changed: bool  # and to a number
    plus_one: Race  # n += 1
    plus_call: Race  # n = n + one()
    plus_locked: Race  # the same under a lock
    forced_lost: int  # of 2 updates n += x, where x lets the other thread add in between


PROGRAM = """
import threading, time
def child():
    {child}
    print("child done", flush=True)
thread = threading.Thread(target=child, daemon={daemon})
thread.start()
{then}
print("main done", flush=True)
"""


OUTLIVE_MAIN = "threading.main_thread().join()"


def program(bench: Bench, name: str, child: str = "pass", then: str = "pass", daemon: bool = False) -> Ended:
    done = bench.interpreter(PROGRAM.format(child=child, then=then, daemon=daemon))
    ended = Ended(done.stdout.splitlines(), done.returncode, "".join(done.stderr.splitlines()[-1:]))
    bench.timeline(f"{name}: {', '.join(ended.lines)}; exit code {ended.code} {ended.error}")
    return ended


def change(given: list[str], number: int) -> None:
    given.append("changed")
    number += 1


def one() -> int:
    return 1


def plus_one() -> None:
    global N
    for _ in range(ADDITIONS):
        N += 1


def plus_call() -> None:
    global N
    for _ in range(ADDITIONS):
        N = N + one()


def plus_locked() -> None:
    for _ in range(ADDITIONS):
        with LOCK:
            global N
            N = N + one()


N, LOCK = 0, threading.Lock()


def race(add: Callable[[], None]) -> Race:
    """Race two threads with the interpreter's own switch interval."""
    global N
    lost = []
    for _ in range(ROUNDS):
        N = 0
        run([threading.Thread(target=add) for _ in range(2)])
        lost.append(2 * ADDITIONS - N)
    return Race(Share(ROUNDS - lost.count(0), ROUNDS), sum(lost), ROUNDS * 2 * ADDITIONS)


def run(threads: list[threading.Thread]) -> None:
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class OneAfterTheOther:
    """1, but whoever adds it lets the other thread add first."""

    def __init__(self, has_read: threading.Event, other_is_done: threading.Event) -> None:
        self.has_read, self.other_is_done = has_read, other_is_done

    def __radd__(self, number: int) -> int:
        self.has_read.set()
        self.other_is_done.wait()
        return number + 1


def forced() -> int:
    global N
    N, has_read, other_is_done = 0, threading.Event(), threading.Event()

    def slowly() -> None:
        global N
        N += OneAfterTheOther(has_read, other_is_done)

    def in_between() -> None:
        global N
        has_read.wait()
        N += 1
        other_is_done.set()

    run([threading.Thread(target=slowly), threading.Thread(target=in_between)])
    return 2 - N


def argument() -> tuple[bool, bool]:
    given: list[int] = []
    number = 0
    run([threading.Thread(target=change, args=(given, number))])
    return bool(given), number == 1


def experiment(bench: Bench) -> Evidence:
    list_changed, number_changed = bench.start(argument).result()
    evidence = Evidence(
        unjoined=program(bench, "not joined", child=OUTLIVE_MAIN),
        joined=program(bench, "joined", then="thread.join()"),
        daemon=program(bench, "daemon", child="time.sleep(5)", daemon=True),
        child_raises=program(
            bench, "child raises", child="raise ValueError('in the child')", then="thread.join()"
        ),
        main_raises=program(
            bench, "main raises", child=OUTLIVE_MAIN, then="raise ValueError('in the main thread')"
        ),
        list_changed=list_changed,
        number_changed=number_changed,
        plus_one=bench.start(race, plus_one).result(),
        plus_call=bench.start(race, plus_call).result(),
        plus_locked=bench.start(race, plus_locked).result(),
        forced_lost=bench.start(forced).result(),
    )
    bench.timeline(
        f"lost: n += 1 {evidence.plus_one.lost}, with a call {evidence.plus_call.lost}, forced "
        f"{evidence.forced_lost}"
    )
    return evidence


def verdict(seen: Evidence) -> Verdict:
    if seen.unjoined.lines != ["main done", "child done"]:
        return refuted("the process did not wait for its child thread", "进程没有等待子线程")
    if not seen.list_changed:
        return refuted("the child had data of its own", "子线程使用的是自己的数据")
    if seen.plus_locked.lost:
        return refuted("updates were lost under a lock", "加锁后仍有更新丢失")
    parts = []
    if "child done" not in seen.daemon.lines:
        parts.append(
            Text(
                "the child is no daemon, which is cut off when the main thread ends",
                "子线程不是守护线程（守护线程在主线程结束时被中断）",
            )
        )
    if seen.forced_lost:
        parts.append(
            Text(
                "working on the same data needs a lock: n += 1 loses an update as soon as the other thread "
                "comes between reading and writing",
                "操作同一份数据时加锁：只要另一个线程插在读与写之间，n += 1 就会丢失更新",
            )
        )
    if parts:
        when = joined(parts, "; and ", "，并且")
        return holds_when(when.en, when.zh)
    return holds("for daemons as well, and no update was lost", "守护线程也一样，且没有丢失更新")


def race_text(seen: Race) -> Text:
    rounds = seen.with_loss.text()
    return Text(
        f"{seen.lost} / {seen.updates} updates; a loss in {rounds.en} rounds",
        f"{seen.lost} / {seen.updates} 次更新；有丢失的轮次：{rounds.zh}",
    )


def show(seen: Evidence) -> list[Row]:
    def ended(what: str, zh: str, one: Ended, key: bool = False) -> Row:
        end = f"{', '.join(one.lines)}; exit code {one.code}"
        return Row(Text(what, zh), f"{end}; {one.error}" if one.error else end, key=key)

    def words(yes: bool) -> Text:
        return Text("seen by main", "主线程可见") if yes else Text("not seen", "不可见")

    return [
        ended("main ends first", "主线程先结束", seen.unjoined, key=True),
        ended("main calls join", "主线程调用 join", seen.joined),
        ended("main ends first, child is a daemon", "主线程先结束，子线程为守护线程", seen.daemon, key=True),
        ended("child raises", "子线程抛出异常", seen.child_raises),
        ended("main raises", "主线程抛出异常", seen.main_raises),
        Row(Text("child changes a list it was given", "子线程修改传入的列表"), words(seen.list_changed)),
        Row(Text("child changes a number it was given", "子线程修改传入的整数"), words(seen.number_changed)),
        Row(Text("n += 1, two threads: lost", "两个线程 n += 1：丢失"), race_text(seen.plus_one), key=True),
        Row(Text("n = n + one(): lost", "n = n + one()：丢失"), race_text(seen.plus_call), key=True),
        Row(Text("the same under a lock: lost", "同上、加锁：丢失"), race_text(seen.plus_locked)),
        Row(
            Text("n += x, forced in between: lost", "n += x，强制插入：丢失"),
            f"{seen.forced_lost} / 2",
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=26,
    section="threads",
    statement=Text(
        "A process ends when its main thread and all of its child threads are done, and they work on the "
        "same data.",
        "主线程和所有子线程都结束后进程才结束，它们操作同一份数据。",
    ),
    practice=Text(
        "Join your threads, and take results and errors from a ThreadPoolExecutor's futures: an exception "
        "in a thread changes neither the main thread nor the exit code. Daemon threads only for work that "
        "may stop anywhere. Lock every read-modify-write: that `n += 1` loses nothing on Python 3.10 and "
        "later is luck of the implementation.",
        "用 join 等待线程，并从 ThreadPoolExecutor 的 future 取得结果和异常：线程中的异常既不影响主线程，"
        "也不改变退出码。守护线程只用于可随时中断的工作。每个“读—改—写”都要加锁："
        "`n += 1` 在 Python 3.10 及以后不丢更新，只是实现上的巧合。",
    ),
    sources=(
        Source(
            "threading: thread objects, daemon threads",
            "https://docs.python.org/3/library/threading.html#thread-objects",
        ),
        Source(
            "threading.excepthook", "https://docs.python.org/3/library/threading.html#threading.excepthook"
        ),
        Source("the interpreter looks for other threads at calls and at jumps backwards", "Python/ceval.c"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
