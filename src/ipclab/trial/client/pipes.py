"""Faults of a Pipe whose end several processes share: a message takes more than one read or write.

The fault does not depend on luck: a process is stopped (SIGSTOP) in the middle of a message, where the
scheduler may also stop it at any time, and another process gets its turn.
"""

from __future__ import annotations

import contextlib
import select
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import OTHER, PROGRAM, THIRD, Bench
from ipclab.trial.client.child import Child, hung, say
from ipclab.trial.client.moments import unread
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import came_of

LARGE_BYTES = 1 << 20
"""More than a pipe holds, so that its sender blocks in the middle of it until somebody reads."""
SMALL_BYTES = 100


class _Pipe:
    """A pipe whose ends may each have a lock. Belongs to the lab's process."""

    def __init__(self, bench: Bench, *, locked: bool) -> None:
        self._bench = bench
        self._locks = [bench.site.context.Lock() if locked else None for _ in range(2)]
        self._ends = bench.site.context.Pipe(duplex=False)
        for end in self._ends:
            bench.at_end(end.close)

    def sender(self, name: str, process: int, bodies: list[bytes]) -> Child:
        return self._start(name, _send, process, self._ends[1], self._locks[1], bodies)

    def receiver(self, name: str, process: int, count: int) -> Child:
        return self._start(name, _receive, process, self._ends[0], self._locks[0], count)

    def wait_until_full(self) -> None:
        writing = self._ends[1]
        self._bench.until(lambda: not select.select([], [writing], [], 0)[1], "the pipe to be full")

    def wait_until_empty(self) -> None:
        self._bench.until(lambda: not unread(self._ends[0]), "the pipe to be empty")

    def _start(self, name: str, function: Any, process: int, *args: Any) -> Child:
        return self._bench.start(name, function, self._bench.log(process), process, *args)


def _body(number: int, size_bytes: int = LARGE_BYTES) -> bytes:
    """Return a message that differs from all others.

    Its bytes, read as a length, announce more than will come.
    """
    return bytes([number]) * size_bytes


def _send(
    parent: Connection, log: Path, process: int, end: Connection, lock: Any, bodies: list[bytes]
) -> None:
    with ProcessLog(log, process) as history:
        for body in bodies:
            history.invoke("send", body[0])
            with lock or contextlib.nullcontext():
                end.send_bytes(body)
            history.ok()


def _receive(
    parent: Connection, log: Path, process: int, end: Connection, lock: Any, count: int
) -> list[str]:
    """Receive messages; return what each one was. All but the last are reported at once, too."""
    found: list[str] = []
    with ProcessLog(log, process) as history:
        for place in range(count):
            history.invoke("receive")
            with lock or contextlib.nullcontext():
                body = end.recv_bytes()
            whole = body.count(body[:1]) == len(body) and len(body) in (SMALL_BYTES, LARGE_BYTES)
            found.append(f"message {body[0]}" if whole else f"{len(body)} bytes of several messages")
            history.ok(body[0] if whole else {"corrupted": found[-1]})
            if place < count - 1:
                say(parent, found[-1])
    return found


def _two_readers(bench: Bench, *, right: bool) -> Seen:
    pipe = _Pipe(bench, locked=right)
    sender = pipe.sender("program", PROGRAM, [_body(1), _body(2)])
    pipe.wait_until_full()
    sender.stop()
    first = pipe.receiver("other", OTHER, 1)
    # It has read all that has arrived of the first message, and waits for the rest.
    pipe.wait_until_empty()
    first.stop()
    sender.resume()
    pipe.wait_until_full()
    second = pipe.receiver("third", THIRD, 1)
    second.stands()
    first.resume()
    stuck = hung(first, second, right=right)
    finding = (
        "a reader had a part of a message when another one had its turn: recv_bytes() of the first "
        f"{came_of(stuck, 'other')}, that of the second {came_of(stuck, 'third')}"
    )
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


def _two_writers(bench: Bench, *, right: bool) -> Seen:
    pipe = _Pipe(bench, locked=right)
    first = pipe.sender("program", PROGRAM, [_body(1)])
    pipe.wait_until_full()
    first.stop()
    reader = pipe.receiver("third", THIRD, 2)
    pipe.wait_until_empty()
    second = pipe.sender("other", OTHER, [_body(2, SMALL_BYTES)])
    second.stands()
    first.resume()
    first.result()
    got = reader.heard()
    stuck = hung(reader, right=right)
    finding = (
        f"a writer had sent a part of a message when another one had its turn: the first recv_bytes() "
        f"returned {got}, the second {came_of(stuck, 'third')}"
    )
    return Seen(finding=finding, counts={"hung": len(stuck)}, hung=stuck)


_pair = partial(pair, backend="pipe", library="", model="delivery", guarantee="exactly-once")

SCENARIOS = (
    *_pair(
        "reader-of-one-end",
        _two_readers,
        asked="two processes receive from one end of a Pipe, each a message of 1 MiB",
        says="nothing: both wait for ever",
        has="two parts of one message, each read as another message",
        default="reading.recv_bytes()",
        right="a lock of that end, reading.recv_bytes()",
    ),
    *_pair(
        "writer-of-one-end",
        _two_writers,
        asked="two processes send to one end of a Pipe, one of them 1 MiB",
        says="a message of the right length, then nothing any more",
        has="one message in the middle of the other",
        default="writing.send_bytes(body)",
        right="a lock of that end, writing.send_bytes(body)",
    ),
)
