"""10. A Queue is a pipe plus a lock: a SimpleQueue is; a Queue also has a buffer and a thread."""

import threading
from typing import Any

import msgspec

from ipclab.claims import (
    PATIENCE_S,
    Bench,
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
from ipclab.program import main_of_claim

BIG = bytes(1_000_000)  # more than a pipe holds


class PickledBy:
    """Arrives as the name of the thread that turned it into bytes."""

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (threading.current_thread().name,)


class Held:
    """Cannot be turned into bytes before its gate is open."""

    gate = threading.Event()

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        self.gate.wait()
        return str, ("held",)


class Evidence(msgspec.Struct, frozen=True):
    parts: list[str]  # what a Queue is made of
    simple_parts: list[str]  # and a SimpleQueue
    pickled_by: str  # the thread that puts into the pipe of a Queue
    simple_pickled_by: str
    put_before_pipe: bool  # put() returned while nothing could have reached the pipe
    put_unread: Fate  # of a process that puts more than the pipe holds, with no reader
    simple_put_unread: Fate


def parts(queue: object) -> list[str]:
    return sorted(
        {type(part).__name__ for part in vars(queue).values() if part is not None} - {"int", "method"}
    )


def put_and_get(queue: Any) -> str:
    queue.put(PickledBy())
    return str(queue.get())


def put_held(queue: Any, timeline: Timeline) -> bool:
    queue.put(Held())
    empty = not queue._reader.poll()
    timeline(f"put() has returned; something in the pipe: {not empty}")
    Held.gate.set()
    timeline(f"got {queue.get()}")
    return empty


def put_big(queue: Any) -> None:
    queue.put(BIG)


def experiment(bench: Bench) -> Evidence:
    queue, simple = bench.context.Queue, bench.context.SimpleQueue
    unread, simple_unread = (bench.start(put_big, kind()) for kind in (queue, simple))
    return Evidence(
        parts=parts(queue()),
        simple_parts=parts(simple()),
        pickled_by=bench.start(put_and_get, queue()).result(),
        simple_pickled_by=bench.start(put_and_get, simple()).result(),
        put_before_pipe=bench.start(put_held, queue(), bench.timeline, name="putter").result(),
        put_unread=unread.watch(PATIENCE_S),
        simple_put_unread=simple_unread.watch(),
    )


def verdict(seen: Evidence) -> Verdict:
    if seen.put_unread.hung and not seen.put_before_pipe:
        return holds(
            "put() writes into the pipe itself, and waits when it is full", "put() 直接写管道，管道满时等待"
        )
    if seen.simple_put_unread.hung:
        early = (
            Text(
                ", so put() can return before anything is in the pipe",
                "，因此 put() 返回时管道里可能还什么都没有",
            )
            if seen.put_before_pipe
            else Text("", "")
        )
        return holds_when(
            f"it is a SimpleQueue; a Queue also has a buffer and a thread that pickles and sends{early.en}",
            f"用的是 SimpleQueue；Queue 还有一个缓冲区和一个负责序列化与发送的线程{early.zh}",
        )
    return refuted("neither kind of queue waits for its pipe", "两种队列都不等待管道")


def show(seen: Evidence) -> list[Row]:
    returned = Text("put() returned", "put() 已返回")
    return [
        Row(Text("parts of a Queue", "Queue 的组成"), ", ".join(seen.parts)),
        Row(Text("parts of a SimpleQueue", "SimpleQueue 的组成"), ", ".join(seen.simple_parts)),
        Row(Text("Queue: pickled and sent by", "Queue：由哪个线程序列化并发送"), seen.pickled_by, key=True),
        Row(Text("SimpleQueue: by", "SimpleQueue：由"), seen.simple_pickled_by),
        Row(
            Text("Queue.put() returned before anything was in the pipe", "Queue.put() 在管道有数据之前返回"),
            str(seen.put_before_pipe),
        ),
        Row(
            Text("Queue.put() of 1 MB, no reader", "Queue.put() 1 MB、无读者"),
            seen.put_unread.text(returned),
            key=True,
        ),
        Row(
            Text("SimpleQueue.put() of 1 MB, no reader", "SimpleQueue.put() 1 MB、无读者"),
            seen.simple_put_unread.text(returned),
            key=True,
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=10,
    section="sharing",
    statement=Text("A Queue is a pipe plus a lock.", "Queue 就是管道加锁。"),
    practice=Text(
        "`put()` returning says nothing about delivery, and errors of pickling show only in the thread. "
        "Bound the queue (`maxsize`) for back pressure, drain it before `join()`, or use a SimpleQueue.",
        "`put()` 返回不代表已送达，序列化错误只出现在后台线程：用 `maxsize` 限制长度以形成背压，"
        "`join()` 之前先取空队列，或改用 SimpleQueue。",
    ),
    sources=(
        Source(
            "multiprocessing: pipes and queues",
            "https://docs.python.org/3/library/multiprocessing.html#pipes-and-queues",
        ),
        Source("CPython: Queue._feed, SimpleQueue.put", "Lib/multiprocessing/queues.py"),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
