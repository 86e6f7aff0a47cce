"""14. A pipe is not process-safe: the bytes of two writers mix, and two readers take each other's."""

import array
import contextlib
import fcntl
import select
import termios
from contextlib import AbstractContextManager
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from typing import Any

import msgspec

from ipclab.claims import (
    Bench,
    Child,
    Fate,
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

AnyLock = AbstractContextManager[Any]

BIG = 200_000  # more than a pipe holds
ATOMIC, ABOVE = 4_092, 5_000  # with its header of 4 bytes, a message up to PIPE_BUF is written as a whole
SEVERAL, MESSAGES, RACES = 4, 50, 6


class Evidence(msgspec.Struct, frozen=True):
    got: list[str]  # what a reader got of 200 000 times A and 100 times B, which came in between
    readers: list[Fate]  # of two that read one message of 200 000 bytes; returned: it was that message
    atomic: Share  # races of four writers that corrupted a message: up to PIPE_BUF
    above: Share  # larger
    locked: Share  # larger, under a lock
    one_each: Share  # larger, of one writer and one reader
    shared_reading: Share  # larger, of four writers under a lock and four readers without
    both_locked: Share  # the same, with another lock for the readers
    killed: Fate  # of a writer under a lock, after one that held it was killed in the middle of a message


NO_LOCK = contextlib.nullcontext  # in the place of the class of a lock


def send(writing: Connection, body: bytes, lock: AnyLock) -> None:
    with lock:
        writing.send_bytes(body)


def receive(reading: Connection, writing: Connection) -> list[str]:
    """Return everything until the end, or what went wrong."""
    writing.close()
    got = []
    try:
        while True:
            body = reading.recv_bytes()
            got.append(f"{len(body)} bytes: {body.count(b'A')} A, {body.count(b'B')} B")
    except (EOFError, OSError) as error:
        return [*got, f"{type(error).__name__}: {error}"]


def receive_one(reading: Connection, writing: Connection) -> None:
    writing.close()
    if (body := reading.recv_bytes()) != b"A" * BIG:
        raise ValueError(f"{len(body)} bytes: {body.count(b'A')} A")


def half_sent(bench: Bench) -> tuple[Connection, Connection, Child]:
    """Return a pipe, and a process that was stopped in the middle of a message: the pipe was full."""
    reading, writing = bench.context.Pipe(duplex=False)
    sender = bench.start(send, writing, b"A" * BIG, NO_LOCK(), name="A")
    bench.until(lambda: not select.select([], [writing], [], 0)[1], "a full pipe")
    sender.stop()
    bench.timeline(f"A stopped; {unread(reading)} bytes are in the pipe")
    return reading, writing, sender


def unread(reading: Connection) -> int:
    count = array.array("i", [0])
    fcntl.ioctl(reading.fileno(), termios.FIONREAD, count)
    return count[0]


def two_writers(bench: Bench) -> list[str]:
    reading, writing, sender = half_sent(bench)
    reader = bench.start(receive, reading, writing, name="reader")
    bench.until(lambda: not unread(reading), "the reader to take what there is")
    bench.start(send, writing, b"B" * 100, NO_LOCK(), name="B").join()
    bench.timeline("B has sent its message")
    sender.resume()
    sender.join()
    writing.close()
    got: list[str] = reader.result()
    return got


def two_readers(bench: Bench) -> tuple[Child, Child, Connection]:
    reading, writing, sender = half_sent(bench)
    first = bench.start(receive_one, reading, writing, name="reader 1")
    bench.until(lambda: not unread(reading), "the first reader to take what there is")
    first.stop()
    sender.resume()
    bench.until(lambda: unread(reading) > 0, "more of the message")
    second = bench.start(receive_one, reading, writing, name="reader 2")
    sender.join()
    bench.until(lambda: not unread(reading), "the second reader to take what there is")
    first.resume()
    bench.timeline("A has sent its message, and all of it was read")
    return first, second, writing  # with the writing end open, the readers see no end of the pipe


def killed_under_lock(bench: Bench) -> tuple[Fate, Connection]:
    (reading, writing), lock = bench.context.Pipe(duplex=False), bench.context.Lock()
    victim = bench.start(send, writing, b"A" * BIG, lock, name="victim")
    bench.until(lambda: not select.select([], [writing], [], 0)[1], "a full pipe")
    victim.kill()
    return bench.start(send, writing, b"B", lock, name="next").watch(0.5), reading


def send_many(writing: Connection, body: bytes, lock: AnyLock, start: Barrier) -> None:
    start.wait()
    for _ in range(MESSAGES):
        send(writing, body, lock)


def receive_many(reading: Connection, writing: Connection, size: int, count: int, lock: AnyLock) -> bool:
    """Return whether a message came out wrong, or no more came before it had this many."""
    writing.close()
    try:
        for _ in range(count):
            with lock:
                body = reading.recv_bytes(maxlength=BIG)
            if len(body) != size or body.count(body[:1]) != size:
                return True
    except (EOFError, OSError):
        return True
    return False


def race(bench: Bench, size: int, writers: int, readers: int, sending: Any, receiving: Any) -> bool:
    """Return whether one of the readers that share the messages did not get its share as sent."""
    reading, writing = bench.context.Pipe(duplex=False)
    start, share = bench.context.Barrier(writers), writers * MESSAGES // readers
    # Locks of its own: that of a corrupted race may have died with one that held it.
    sending, receiving = sending(), receiving()
    takers = [bench.start(receive_many, reading, writing, size, share, receiving) for _ in range(readers)]
    bodies = [bytes([ord("a") + n]) * size for n in range(writers)]
    givers = [bench.start(send_many, writing, body, sending, start) for body in bodies]
    writing.close()  # else a reader whose message was taken by another one would wait for ever
    corrupted = any(taker.result() for taker in takers)
    for child in [*takers, *givers]:
        child.kill() if corrupted else child.join()  # where it is corrupted, some write to nobody
    return corrupted


def races(
    bench: Bench,
    size: int,
    writers: int = SEVERAL,
    readers: int = 1,
    sending: Any = NO_LOCK,
    receiving: Any = NO_LOCK,
) -> Share:
    corrupted = [race(bench, size, writers, readers, sending, receiving) for _ in range(RACES)]
    return Share(sum(corrupted), RACES)


def experiment(bench: Bench) -> Evidence:
    (*readers, _open), lock = two_readers(bench), bench.context.Lock
    return Evidence(
        got=two_writers(bench),
        atomic=races(bench, ATOMIC),
        above=races(bench, ABOVE),
        locked=races(bench, ABOVE, sending=lock),
        one_each=races(bench, ABOVE, writers=1),
        shared_reading=races(bench, ABOVE, readers=SEVERAL, sending=lock),
        both_locked=races(bench, ABOVE, readers=SEVERAL, sending=lock, receiving=lock),
        readers=[reader.watch(0.5) for reader in readers],
        killed=killed_under_lock(bench)[0],
    )


def verdict(seen: Evidence) -> Verdict:
    mixed = seen.got[0] != f"{BIG} bytes: {BIG} A, 0 B"
    torn = not any(reader.outcome == "returned" for reader in seen.readers)  # its message came to neither
    if seen.one_each.k:
        return holds(
            "messages were corrupted between one writer and one reader",
            "只有一个写者和一个读者时消息也会损坏",
        )
    if seen.locked.k or seen.both_locked.k:
        return holds("messages were corrupted even under a lock", "加锁后消息仍会损坏")
    if seen.atomic.k:
        return holds("messages up to PIPE_BUF were corrupted as well", "不超过 PIPE_BUF 的消息也会损坏")
    unsafe = []
    if mixed or seen.above.k:
        unsafe.append(
            Text(
                "several processes write to one end messages above PIPE_BUF (4096 bytes with the header, of "
                "a one-way pipe)",
                "多个进程向同一端写入超过 PIPE_BUF（单向管道，含头部 4096 字节）的消息",
            )
        )
    if torn or seen.shared_reading.k:
        unsafe.append(Text("several processes read from one end", "多个进程从同一端读取"))
    if unsafe:
        but = (
            Text(" as long as no holder is killed", "（且持锁者没有被杀）")
            if seen.killed.hung
            else Text("", "")
        )
        where = joined(unsafe, ", or ", "，或")
        return holds_when(
            f"{where.en}; one process per end is safe, and so is a lock for each end{but.en}",
            f"{where.zh}；每端只有一个进程，或每端配一把锁{but.zh}，则是安全的",
        )
    return refuted("no message was mixed up", "没有消息混在一起")


def show(seen: Evidence) -> list[Row]:
    got_it = Text("got the message", "取到消息")
    return [
        Row(
            Text(
                "forced: 100 B sent in the middle of 200 000 A: the reader got",
                "强制：在 200 000 个 A 中间插入 100 个 B：读者得到",
            ),
            "; ".join(seen.got),
            key=True,
        ),
        *(
            Row(
                Text(f"forced: two readers, one message: reader {n}", f"强制：两个读者、一条消息：读者 {n}"),
                fate.text(got_it),
                key=n == 1,
            )
            for n, fate in enumerate(seen.readers, 1)
        ),
        Row(
            Text(
                f"4 writers, {ABOVE} bytes: races that corrupted", f"4 个写者、{ABOVE} 字节：发生损坏的竞争"
            ),
            seen.above.text(),
            key=True,
        ),
        Row(Text(f"4 writers, {ATOMIC} bytes", f"4 个写者、{ATOMIC} 字节"), seen.atomic.text()),
        Row(Text(f"4 writers, {ABOVE} bytes, a lock", f"4 个写者、{ABOVE} 字节、加锁"), seen.locked.text()),
        Row(
            Text(f"1 writer, 1 reader, {ABOVE} bytes", f"1 个写者、1 个读者、{ABOVE} 字节"),
            seen.one_each.text(),
        ),
        Row(
            Text(
                f"4 writers with a lock, 4 readers without, {ABOVE} bytes",
                f"4 个写者加锁、4 个读者不加锁、{ABOVE} 字节",
            ),
            seen.shared_reading.text(),
        ),
        Row(
            Text(
                f"4 writers with a lock, 4 readers with another, {ABOVE} bytes",
                f"4 个写者、4 个读者各用一把锁、{ABOVE} 字节",
            ),
            seen.both_locked.text(),
            key=True,
        ),
        Row(
            Text(
                "a writer was killed within a message, under a lock: the next one",
                "持锁的写者在消息中途被杀：下一个写者",
            ),
            seen.killed.text(Text("sends", "得以发送")),
        ),
    ]


CLAIM = claim(
    experiment,
    verdict,
    show,
    number=14,
    section="sharing",
    statement=Text("A pipe is not process-safe.", "管道不是进程安全的。"),
    practice=Text(
        "Give each end of a pipe to one process; where several must share an end, take one lock around every "
        "send and another around every recv, which is what SimpleQueue does. No lock helps where one of them "
        "may be killed.",
        "管道的每一端只给一个进程；若多个进程必须共用一端，每次 send 用一把锁、每次 recv 用另一把锁，"
        "SimpleQueue 正是这样做的。若其中有进程可能被杀，锁也无济于事。",
    ),
    sources=(
        Source(
            "multiprocessing: data in a pipe may become corrupted",
            "https://docs.python.org/3/library/multiprocessing.html#exchanging-objects-between-processes",
        ),
        Source("CPython: Connection._send_bytes, _recv", "Lib/multiprocessing/connection.py"),
        Source(
            "POSIX: writes up to PIPE_BUF are atomic", "https://man7.org/linux/man-pages/man7/pipe.7.html"
        ),
    ),
    recorded="holds when",
)

if __name__ == "__main__":
    main_of_claim(CLAIM)
