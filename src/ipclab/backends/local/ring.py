"""``shm-ring``: a ring of bytes in shared memory for one producer and one consumer.

Nothing is faster than a copy into memory that both processes see, so this row is the physical limit for the
others. No system call carries a message: both ends poll. The producer alone writes ``tail`` and the consumer
alone writes ``head``; each is one aligned store of 8 bytes, after the bytes that it stands for. So a process
that is killed leaves either a whole message or none.

The order of stores holds on processors of the x86 family only. Python has no memory barrier, so ``setup()``
refuses any other processor.

``shm-ring-naive`` is the same ring for any number of each, without a lock: the unsafe discipline.
"""

from __future__ import annotations

import contextlib
import platform
import secrets
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from multiprocessing.shared_memory import SharedMemory
from typing import ClassVar

from ipclab.backends.base import Channel, Consumer, Guarantees, Option, Producer
from ipclab.errors import UsageError
from ipclab.host import segments
from ipclab.host.shared_memory import memory, reserve, unlink, untracked

_HEAD, _TAIL = 0, 8
"""Where the two positions are, in words of 8 bytes: each in a cache line of its own."""
_DATA = 128
"""Where the ring begins, in bytes."""
_LENGTH = struct.Struct("<Q")
_LOOKS = 50
_SHORTEST_S = 20e-6
_LONGEST_S = 1e-3
_MACHINES = ("x86_64", "AMD64", "i686")


class _End:
    """An attached ring. Both positions only grow; their difference is the number of bytes in the ring."""

    def __init__(self, name: str, size_bytes: int) -> None:
        self._segment = untracked(name)
        self._words = memory(self._segment)[:_DATA].cast("Q")
        self._data = memory(self._segment)[_DATA : _DATA + size_bytes]
        self._size = size_bytes

    def close(self) -> None:
        """Let go of the ring; its content stays."""
        self._words.release()
        self._data.release()
        self._segment.close()

    def _wait(self, ready: Callable[[], bool]) -> None:
        """Return once it is ready: look some times, then with pauses that double."""
        for _ in range(_LOOKS):
            if ready():
                return
        pause_s = _SHORTEST_S
        while not ready():
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_S)


class RingProducer(_End, Producer):
    """Writes messages behind ``tail``; waits while there is no room."""

    def send(self, body: bytes) -> None:
        """Write the message into the ring. Raise ValueError where it is larger than the ring."""
        words, size = self._words, self._size
        needed = _LENGTH.size + len(body)
        if needed > size:
            raise ValueError(f"{len(body)} bytes do not fit into a ring of {size} bytes")
        tail = words[_TAIL]
        if tail + needed - words[_HEAD] > size:
            self._wait(lambda: tail + needed - words[_HEAD] <= size)
        self._write(tail, _LENGTH.pack(len(body)))
        self._write(tail + _LENGTH.size, body)
        words[_TAIL] = tail + needed

    def _write(self, position: int, piece: bytes) -> None:
        at = position % self._size
        room = self._size - at
        if len(piece) <= room:
            self._data[at : at + len(piece)] = piece
        else:
            self._data[at:] = piece[:room]
            self._data[: len(piece) - room] = piece[room:]


class RingConsumer(_End, Consumer):
    """Takes messages behind ``head``, one at a time; waits while there is none."""

    def receive(self) -> Sequence[bytes]:
        return (self._receive_one(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._receive_one

    def _receive_one(self) -> bytes:
        words = self._words
        head = words[_HEAD]
        if words[_TAIL] == head:
            self._wait(lambda: words[_TAIL] != head)
        (length,) = _LENGTH.unpack(self._read(head, _LENGTH.size))
        body = self._read(head + _LENGTH.size, length)
        words[_HEAD] = head + _LENGTH.size + length
        return body

    def _read(self, position: int, length: int) -> bytes:
        at = position % self._size
        room = self._size - at
        if length <= room:
            return bytes(self._data[at : at + length])
        return bytes(self._data[at:]) + bytes(self._data[: length - room])


class NaiveRingConsumer(RingConsumer):
    """Takes messages from a ring in which others write and read at the same time.

    A length that cannot be right shows that others have interfered. It then skips all that is in the ring, so
    that it does not wait for bytes that never come.
    """

    def _receive_one(self) -> bytes:
        words = self._words
        while True:
            head = words[_HEAD]
            if words[_TAIL] == head:
                self._wait(lambda: words[_TAIL] != words[_HEAD])
                continue
            (length,) = _LENGTH.unpack(self._read(head, _LENGTH.size))
            after = head + _LENGTH.size + length
            if after > words[_TAIL]:
                words[_HEAD] = words[_TAIL]
                continue
            body = self._read(head + _LENGTH.size, length)
            words[_HEAD] = after
            return body


class RingChannel(Channel):
    """A ring in ``multiprocessing.shared_memory``, one to one."""

    name = "shm-ring"
    summary = "a ring in multiprocessing.shared_memory, one writer and one reader; both poll"
    options = (Option("ring_kib", 1024, "size of the ring in KiB: no larger message is carried"),)
    max_producers: ClassVar[int | None] = 1
    max_consumers: ClassVar[int | None] = 1
    impossible_moments: ClassVar[Mapping[str, str]] = {
        "mid-message": "a message appears in the ring whole, by one store of its end"
    }
    _segment: SharedMemory | None = None
    _segment_name = ""

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            # What was sent stays in the ring: a new process attaches to it by its name.
            may_lose=frozenset({"consumer crash"}),
            order="per-producer",
            durability="none",
            confirm="written",
            reach="host",
            max_message_bytes=self._ring_bytes - _LENGTH.size,
            polling=True,
        )

    @property
    def _ring_bytes(self) -> int:
        return int(self.chosen["ring_kib"]) * 1024

    def setup(self) -> None:
        """Make the segment. Raise UsageError for another processor, ChannelError without room for it."""
        if platform.machine() not in _MACHINES:
            raise UsageError(
                f"{self.name} needs the order of stores of x86, and this is {platform.machine()}"
            )
        segments.require()
        self._segment_name = f"{segments.prefix()}ring-{secrets.token_hex(4)}"
        self._segment = untracked(self._segment_name, _DATA + self._ring_bytes)
        reserve(self._segment, _DATA + self._ring_bytes, "a ring")

    def __getstate__(self) -> dict[str, object]:
        # Workers attach by the name: the object of the parent would be closed twice.
        return {**self.__dict__, "_segment": None}

    def producer(self, index: int) -> Producer:
        return RingProducer(self._segment_name, self._ring_bytes)

    def consumer(self, index: int) -> Consumer:
        return RingConsumer(self._segment_name, self._ring_bytes)

    def teardown(self) -> None:
        segment, self._segment = self._segment, None
        if segment is not None:
            segment.close()
            with contextlib.suppress(FileNotFoundError):
                unlink(segment)


class NaiveRingChannel(RingChannel):
    """The ring without a lock, n to m: the unsafe discipline beside ``shm-ring``.

    Two producers that read the same ``tail`` write over each other's message; two consumers that read the
    same ``head`` take the same message.
    """

    name = "shm-ring-naive"
    summary = "the ring of shm-ring for several writers and readers without a lock: unsafe"
    max_producers = None
    max_consumers = None

    @property
    def guarantees(self) -> Guarantees:
        return replace(super().guarantees, safe=False, order="none")

    def consumer(self, index: int) -> Consumer:
        return NaiveRingConsumer(self._segment_name, self._ring_bytes)
