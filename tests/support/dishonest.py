"""Channels whose defects could pass for a good number: queues with something wrong with them."""

from __future__ import annotations

import struct
import time
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

from ipclab.backends.base import Consumer, Producer
from ipclab.backends.local.queue import QueueChannel, SimpleQueueChannel
from ipclab.trial.message import HEADER_BYTES, STOP

EVERY = 50
"""One of so many messages meets the defect."""
_HEADER = struct.Struct("<IHHQ")


def with_sequence(body: bytes, sequence: int) -> bytes:
    """Return this message as it would look with another sequence, right checksum included."""
    _, producer, trial, _ = _HEADER.unpack_from(body)
    covered = _HEADER.pack(0, producer, trial, sequence)[4:]
    crc = zlib.crc32(covered, zlib.crc32(body[HEADER_BYTES:]))
    return crc.to_bytes(4, "little") + covered + body[HEADER_BYTES:]


def sequence_of(body: bytes) -> int:
    """Return the sequence of a message."""
    return int(_HEADER.unpack_from(body)[3])


class _EarlyConsumer(Consumer):
    """Makes up the successor of a message as soon as it has that message, and swallows the real one."""

    def __init__(self, inner: Consumer) -> None:
        self._inner = inner
        self._made_up: bytes | None = None
        self._swallow = -1

    def receive(self) -> Sequence[bytes]:
        if self._made_up is not None:
            made_up, self._made_up = self._made_up, None
            return [made_up]
        (body,) = self._inner.receive()
        if body != STOP and sequence_of(body) == self._swallow:
            return self.receive()
        if body != STOP and sequence_of(body) % EVERY == 0:
            self._swallow = sequence_of(body) + 1
            self._made_up = with_sequence(body, self._swallow)
        return [body]


class EarlyChannel(SimpleQueueChannel):
    """Delivers every fiftieth message before it is sent."""

    name = "early"

    def consumer(self, index: int) -> Consumer:
        return _EarlyConsumer(super().consumer(index))


class _StaleConsumer(Consumer):
    def __init__(self, inner: Consumer, left: dict[int, bytes]) -> None:
        self._inner, self._left = inner, left

    def receive(self) -> Sequence[bytes]:
        return [self._left.get(sequence_of(body), body) for body in self._inner.receive()]


class StaleChannel(SimpleQueueChannel):
    """Hands over a message that an earlier trial left behind in place of one of its own."""

    name = "stale"
    left: ClassVar[dict[int, bytes]] = {}

    def consumer(self, index: int) -> Consumer:
        return _StaleConsumer(super().consumer(index), type(self).left)


class _StrippingProducer(Producer):
    def __init__(self, inner: Producer) -> None:
        self._inner = inner

    def send(self, body: bytes) -> None:
        self._inner.send(body.rstrip(b"\0 \r\n\t"))


class StrippingChannel(SimpleQueueChannel):
    """Loses NUL bytes and white space at the end of a body, as shared memory and text protocols do."""

    name = "stripping"

    def producer(self, index: int) -> Producer:
        return _StrippingProducer(super().producer(index))


class _FloodingConsumer(Consumer):
    def __init__(self, inner: Consumer) -> None:
        self._inner = inner
        self._count = 0
        self._first = b""

    def receive(self) -> Sequence[bytes]:
        self._count += 1
        if self._count > EVERY:
            time.sleep(0.001)
            return [self._first]
        bodies = self._inner.receive()
        self._first = self._first or bodies[0]
        return bodies


class FloodingChannel(SimpleQueueChannel):
    """Delivers its first message again and again, and nothing else any more."""

    name = "flooding"

    def consumer(self, index: int) -> Consumer:
        return _FloodingConsumer(super().consumer(index))


class _PaddingProducer(Producer):
    def __init__(self, inner: Producer) -> None:
        self._inner = inner

    def send(self, body: bytes) -> None:
        self._inner.send(body.ljust(64, b"#"))


class PaddingChannel(SimpleQueueChannel):
    """Fills up bodies below 64 bytes with something that nobody strips."""

    name = "padding"

    def producer(self, index: int) -> Producer:
        return _PaddingProducer(super().producer(index))


class _PolledConsumer(Consumer):
    """Looks for messages at long intervals only, and takes a limited number each time."""

    def __init__(self, inner: Consumer, every_s: float, most: int) -> None:
        self._inner, self._every_s, self._most = inner, every_s, most
        self._taken = 0

    def receive(self) -> Sequence[bytes]:
        if self._taken % self._most == 0:
            time.sleep(self._every_s)
        self._taken += 1
        return self._inner.receive()


class PolledChannel(QueueChannel):
    """A queue that is polled: ``most`` messages every ``every_s``. It loses nothing."""

    name = "polled"
    every_s: ClassVar[float] = 0.6
    most: ClassVar[int] = 300

    def consumer(self, index: int) -> Consumer:
        return _PolledConsumer(super().consumer(index), self.every_s, self.most)


class _LossyProducer(Producer):
    def __init__(self, inner: Producer) -> None:
        self._inner = inner

    def send(self, body: bytes) -> None:
        if body == STOP or sequence_of(body) % EVERY:
            self._inner.send(body)


class LossyChannel(SimpleQueueChannel):
    """Loses every fiftieth message."""

    name = "lossy"

    def producer(self, index: int) -> Producer:
        return _LossyProducer(super().producer(index))


def _work_for_ever() -> None:
    while True:
        pass


class HelpedChannel(SimpleQueueChannel):
    """Has a process at work of which it says nothing."""

    name = "helped"
    _helper: Any = None

    def setup(self) -> None:
        super().setup()
        self._helper = self.site.context.Process(target=_work_for_ever, daemon=True)
        self._helper.start()

    def teardown(self) -> None:
        self._helper.kill()
        self._helper.join()
        super().teardown()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_helper": None}


CHANNELS = (
    EarlyChannel,
    FloodingChannel,
    HelpedChannel,
    LossyChannel,
    PaddingChannel,
    PolledChannel,
    StaleChannel,
    StrippingChannel,
)
