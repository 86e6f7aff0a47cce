"""multiprocessing's Pipe: ``pipe`` for one producer and one consumer, ``pipe-locked`` for several of each.

A ``Connection`` writes a message of more than 16 KiB as two writes, and even a shorter one is only whole up
to the pipe's atomic size, so two writers (or two readers) of one end corrupt each other's messages unless
there is a lock for each end. ``pipe`` has none and takes one of each. Its two ends are in two processes and
nowhere else, as in a program that closes what it does not use. So when one process ends, the other gets
EOFError or BrokenPipeError. The ends of ``pipe-locked`` stay open in the process that made them, so that it
can start another worker.

``acquire()`` and ``release()`` do what ``with lock`` does: that goes through two more calls in Python.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Lock
from typing import ClassVar, Literal

from ipclab.backends.base import Channel, Consumer, Guarantees, Producer


class PipeProducer(Producer):
    """Writes to the pipe; blocks while it is full."""

    def __init__(self, writer: Connection) -> None:
        self._send_bytes = writer.send_bytes

    def send(self, body: bytes) -> None:
        self._send_bytes(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._send_bytes


class PipeConsumer(Consumer):
    """Reads one message at a time from the pipe."""

    def __init__(self, reader: Connection) -> None:
        self._recv_bytes = reader.recv_bytes

    def receive(self) -> Sequence[bytes]:
        return (self._recv_bytes(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._recv_bytes


class LockedPipeProducer(Producer):
    """Writes to the pipe while it holds the writers' lock."""

    def __init__(self, writer: Connection, lock: Lock) -> None:
        self._send_bytes = writer.send_bytes
        self._acquire, self._release = lock.acquire, lock.release

    def send(self, body: bytes) -> None:
        self._acquire()
        try:
            self._send_bytes(body)
        finally:
            self._release()


class LockedPipeConsumer(Consumer):
    """Reads one message at a time while it holds the readers' lock."""

    def __init__(self, reader: Connection, lock: Lock) -> None:
        self._recv_bytes = reader.recv_bytes
        self._acquire, self._release = lock.acquire, lock.release

    def receive(self) -> Sequence[bytes]:
        return (self._receive_one(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._receive_one

    def _receive_one(self) -> bytes:
        self._acquire()
        try:
            return self._recv_bytes()
        finally:
            self._release()


class PipeChannel(Channel):
    """``multiprocessing.Pipe(duplex=False)``, one to one."""

    name = "pipe"
    summary = "multiprocessing.Pipe, one writer and one reader"
    max_producers: ClassVar[int | None] = 1
    max_consumers: ClassVar[int | None] = 1
    replaceable: ClassVar[bool] = False
    _ends: tuple[Connection, Connection] | None = None

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            # What was written stays in the pipe for as long as a process can read it.
            may_lose=frozenset({"consumer crash"}),
            order="per-producer",
            durability="none",
            confirm="written",
            reach="process tree",
        )

    def setup(self) -> None:
        self._ends = self.site.context.Pipe(duplex=False)

    def producer(self, index: int) -> Producer:
        return PipeProducer(self._open_ends[1])

    def consumer(self, index: int) -> Consumer:
        return PipeConsumer(self._open_ends[0])

    def keep_end(self, role: Literal["producer", "consumer"] | None) -> None:
        reader, writer = self._open_ends
        if role != "consumer":
            reader.close()
        if role != "producer":
            writer.close()

    def teardown(self) -> None:
        if self._ends is not None:
            for end in self._ends:
                end.close()
            self._ends = None

    @property
    def _open_ends(self) -> tuple[Connection, Connection]:
        assert self._ends is not None, "setup() comes first"
        return self._ends


class LockedPipeChannel(PipeChannel):
    """A Pipe with a lock around each end, for any number of writers and readers.

    A process that is killed in the middle of a message keeps the lock: all others wait for ever. A reader
    that ends by an exception there, as after SIGTERM, releases it. The next one starts within the message.
    """

    name = "pipe-locked"
    summary = "multiprocessing.Pipe with a lock around each end, n to m"
    max_producers = None
    max_consumers = None
    replaceable = True

    @property
    def guarantees(self) -> Guarantees:
        return replace(super().guarantees, may_corrupt=frozenset({"consumer crash"}))

    _locks: tuple[Lock, Lock] | None = None

    def setup(self) -> None:
        super().setup()
        self._locks = (self.site.context.Lock(), self.site.context.Lock())

    def producer(self, index: int) -> Producer:
        assert self._locks is not None
        return LockedPipeProducer(self._open_ends[1], self._locks[1])

    def consumer(self, index: int) -> Consumer:
        assert self._locks is not None
        return LockedPipeConsumer(self._open_ends[0], self._locks[0])
