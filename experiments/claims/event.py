"""6. An event blocks its waiters while its flag is false; set, wait, clear."""

import threading
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import msgspec

from ipclab.claims import (
    PATIENCE_S,
    Bench,
    Fate,
    Row,
    Share,
    Source,
    Text,
    Timeline,
    Verdict,
    claim,
    holds,
    holds_when,
    joined,
    refuted,
)
from ipclab.host.start_methods import Context
from ipclab.program import main_of_claim

WAITERS, PULSES = 3, 150


class Evidence(msgspec.Struct, frozen=True):
    before_set: Fate  # of a waiter, while the flag is false
    woken: int  # of WAITERS, by one set()
    while_set: Fate  # of one that comes later
    after_clear: Fate  # of one that comes after clear()
    pulse_false: Share  # waits that a set() and clear() at once ended, and that said False
    thread_pulse_false: Share  # the same between threads, with a threading.Event
    forced_pulse: bool  # what wait() says where the waiter takes its time to wake up
    set_after_a_kill: Fate  # of a process that calls set() after a waiter was killed


def wait_often(event: Any, times: int, begin: Connection, answers: Connection) -> None:
    for _ in range(times):
        begin.recv()
        answers.send(event.wait(20))


def pulse(event: Any, sleeping: Callable[[], object], begin: Connection, answers: Connection) -> bool:
    """Set and clear while one waits; what its wait() says."""
    begin.send("wait")
    while not sleeping():
        pass
    event.set()
    event.clear()
    return bool(answers.recv())


def process_pulses(bench: Bench) -> Share:
    event: Any = bench.context.Event()
    begin_here, begin = bench.context.Pipe()
    answers, answers_there = bench.context.Pipe()
    bench.start(wait_often, event, PULSES, begin, answers_there, name="waiter")
    waiters = event._cond._sleeping_count._semlock
    said = [pulse(event, lambda: waiters._get_value() == 1, begin_here, answers) for _ in range(PULSES)]
    return Share(said.count(False), PULSES)


def thread_pulses(context: Context) -> Share:
    event = threading.Event()
    begin_here, begin = context.Pipe()
    answers, answers_there = context.Pipe()
    threading.Thread(target=wait_often, args=(event, PULSES, begin, answers_there)).start()
    said = [pulse(event, lambda: event._cond._waiters, begin_here, answers) for _ in range(PULSES)]  # type: ignore[attr-defined]
    return Share(said.count(False), PULSES)


def wake_up_slowly(event: Any, timeline: Timeline, cleared: Connection) -> bool:
    """Call wait() where this process gets no time between being woken and taking the lock again."""
    lock = event._cond._lock
    take_again = lock.acquire

    def acquire() -> None:
        timeline("is woken up; takes its time")
        cleared.recv()
        take_again()

    lock.acquire = acquire
    said: bool = event.wait()
    timeline(f"wait() without a time-out says {said}")
    return said


def forced_pulse(bench: Bench) -> bool:
    event: Any = bench.context.Event()
    cleared, cleared_here = bench.context.Pipe()
    waiter = bench.start(wake_up_slowly, event, bench.timeline, cleared, name="waiter")
    bench.until(lambda: event._cond._sleeping_count._semlock._get_value() == 1, "the waiter")
    event.set()
    event.clear()
    bench.timeline("has set and cleared")
    cleared_here.send("go on")
    return bool(waiter.result())


def set_after_a_kill(bench: Bench) -> Fate:
    event: Any = bench.context.Event()
    waiter = bench.start(event.wait, name="waiter")
    bench.until(lambda: event._cond._sleeping_count._semlock._get_value() == 1, "the waiter")
    waiter.kill()
    bench.timeline("a waiter was killed")
    fate = bench.start(event.set, name="setter").watch()
    bench.timeline(f"set(): {fate.outcome} {fate.stuck_in}")
    return fate


def experiment(bench: Bench) -> Evidence:
    event: Any = bench.context.Event()
    waiters = [bench.start(event.wait, name=f"waiter-{n}") for n in range(WAITERS)]
    before = waiters[0].watch()
    bench.timeline(f"a waiter {before.outcome}; set()")
    event.set()
    woken = sum(waiter.result() is True for waiter in waiters)
    late = bench.start(event.wait, name="late").watch(PATIENCE_S)
    event.clear()
    bench.timeline(f"{woken} woken, one that came later {late.outcome}; clear()")
    return Evidence(
        before_set=before,
        woken=woken,
        while_set=late,
        after_clear=bench.start(event.wait, name="after clear").watch(),
        pulse_false=process_pulses(bench),
        thread_pulse_false=bench.start(thread_pulses, bench.context, name="threads").result(),
        forced_pulse=forced_pulse(bench),
        set_after_a_kill=set_after_a_kill(bench),
    )


def verdict(seen: Evidence) -> Verdict:
    blocks = seen.before_set.hung and seen.after_clear.hung
    if not (blocks and seen.woken == WAITERS and seen.while_set.outcome == "returned"):
        return refuted(
            "waiters were not blocked exactly while the flag was false", "等待者并非恰好在标志为假时阻塞"
        )
    conditions, reasons = [], []
    if not seen.forced_pulse or seen.pulse_false.k or seen.thread_pulse_false.k:
        conditions.append(
            Text("the flag stays set until the waiters have gone on", "标志保持为真直到等待者都继续执行")
        )
        reasons.append(
            Text(
                "after a set and clear at once wait() may return False",
                "set 后立刻 clear，wait() 可能返回 False",
            )
        )
    if seen.set_after_a_kill.outcome != "returned":
        hangs = Text("hangs", "会永远阻塞") if seen.set_after_a_kill.hung else Text("fails", "会失败")
        conditions.append(Text("no waiter dies while it waits", "没有等待者在等待中死亡"))
        reasons.append(
            Text(
                f"after a waiter's death set() itself {hangs.en}",
                f"等待者被杀之后，set() 本身{hangs.zh}",
            )
        )
    if conditions:
        need, why = joined(conditions), joined(reasons, zh="；")
        return holds_when(f"{need.en}: {why.en}", f"{need.zh}。{why.zh}")
    return holds("also for a pulse, and after a waiter's death", "脉冲式置位以及等待者死亡后同样成立")


def show(seen: Evidence) -> list[Row]:
    back = Text("goes on", "继续执行")
    return [
        Row(Text("wait() before set()", "set() 之前 wait()"), seen.before_set.text(back)),
        Row(
            Text("waiters woken by one set()", "一次 set() 唤醒的等待者"),
            f"{seen.woken} / {WAITERS}",
            key=True,
        ),
        Row(Text("wait() while it is set", "标志为真时 wait()"), seen.while_set.text(back)),
        Row(Text("wait() after clear()", "clear() 之后 wait()"), seen.after_clear.text(back)),
        Row(
            Text("set() and clear() at once: wait() says False", "set() 后立刻 clear()：wait() 返回 False"),
            seen.pulse_false.text(),
            key=True,
        ),
        Row(
            Text("the same with threading.Event", "threading.Event 的同样情形"),
            seen.thread_pulse_false.text(),
        ),
        Row(
            Text("forced: the waiter wakes up slowly, wait() says", "强制：等待者醒得慢，wait() 返回"),
            str(seen.forced_pulse),
            key=True,
        ),
        Row(
            Text("set() after a waiter was killed", "等待者被杀之后 set()"),
            seen.set_after_a_kill.text(Text("returns", "返回")),
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=6,
    section="locks",
    statement=Text(
        "An event blocks its waiters while its flag is false, and lets them go on when it is set.",
        "事件在标志为假时阻塞等待者，置为真时放行。",
    ),
    practice=Text(
        "Set an event once, for something that stays so (started, stop); for repeated signals use a queue "
        "or a Condition with a counter. Look at what wait() returns even without a time-out. Do not let a "
        "process wait on an event if it may be killed: give it the end of a pipe, which cannot be left "
        "locked.",
        "事件只用来表示不再改变的状态（已启动、应停止），只置位一次；重复的信号用队列或带计数的 Condition。"
        "即使没有设超时，也要检查 wait() 的返回值。可能被杀的进程不要等待事件，"
        "改为等待管道的一端：管道不会遗留锁。",
    ),
    sources=(
        Source("threading.Event", "https://docs.python.org/3/library/threading.html#event-objects"),
        Source(
            "multiprocessing: Event.wait looks at the flag again; Condition.notify waits for every sleeper",
            "Lib/multiprocessing/synchronize.py",
        ),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
