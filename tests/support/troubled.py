"""Channels that give logged workers trouble: errors, slowness, hangs, damaged bytes."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from ipclab.backends.base import Consumer, Guarantees, Producer, Site
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.trial.message import STOP

POLL_S = 1.5
"""A consumer that polls rests so long before each look, and so looks as if it stood still."""
BURNT_S = 1.2
"""Of processor time, of which a slow call needs so much."""


def burn() -> None:
    """Work, for however long it takes on this machine."""
    until = time.thread_time() + BURNT_S
    while time.thread_time() < until:
        pass


class TroubledChannel(SimpleQueueChannel):
    """``simple-queue`` with the trouble that it is made with; everything else is right.

    ``connects`` tells how often a worker can connect before nothing answers any more; errors count from the
    first message after the connection was made.
    """

    name = "troubled"
    fan_out: ClassVar[bool] = False

    def __init__(self, site: Site, trouble: str = "", *, connects: int = 1_000) -> None:
        super().__init__(site)
        self.trouble, self.connects = trouble, connects

    @property
    def guarantees(self) -> Guarantees:
        return replace(super().guarantees, fan_out=self.fan_out)

    def producer(self, index: int) -> Producer:
        self._connect()
        return _TroubledProducer(super().producer(index), self.trouble)

    def consumer(self, index: int) -> Consumer:
        self._connect()
        kind = _AcknowledgingConsumer if self.trouble.startswith("ack") else _TroubledConsumer
        return kind(super().consumer(index), self.trouble)

    def _connect(self) -> None:
        # Each worker has a copy of its own.
        self.connects -= 1
        if self.connects < 0:
            raise ConnectionRefusedError("nobody answers")


class _TroubledProducer(Producer):
    def __init__(self, inner: Producer, trouble: str) -> None:
        self._inner, self._trouble, self._count = inner, trouble, 0

    def send(self, body: bytes) -> None:
        self._count += 1
        if body != STOP:
            if self._trouble == "send raises at once":
                raise OSError("not sent")
            if self._trouble == "send raises third" and self._count == 3:
                raise OSError("not sent")
            if self._trouble == "sent and raises third" and self._count == 3:
                self._inner.send(body)
                raise OSError("sent, but who knows")
            if self._trouble == "send hangs":
                signal.pause()
            if self._trouble == "send is slow":
                burn()
            if self._trouble == "damages third" and self._count == 3:
                body = body[:-1] + bytes([body[-1] ^ 1])
        elif self._trouble == "stop hangs":
            signal.pause()
        elif self._trouble == "stop raises":
            raise OSError("no stop")
        self._inner.send(body)

    def close(self) -> None:
        if self._trouble == "close hangs":
            signal.pause()


class _TroubledConsumer(Consumer):
    def __init__(self, inner: Consumer, trouble: str) -> None:
        self._inner, self._trouble, self._count = inner, trouble, 0

    def receive(self) -> Sequence[bytes]:
        self._count += 1
        if self._trouble == "receive raises third" and self._count == 3:
            raise OSError("cut off")
        if self._trouble == "receive hangs after first" and self._count > 1:
            signal.pause()
        if self._trouble == "polls":
            time.sleep(POLL_S)
        if self._trouble == "receive is slow":
            burn()
        bodies = list(self._inner.receive())
        if self._trouble == "batches":
            while bodies[-1] != STOP and len(bodies) < 3:
                bodies += self._inner.receive()
        return bodies


class _AcknowledgingConsumer(_TroubledConsumer):
    acknowledges = True

    def ack(self) -> None:
        if self._count == 2:
            raise OSError("not acknowledged")


def troubled(trouble: str = "", **more: Any) -> TroubledChannel:
    """Yield one that is set up."""
    channel = TroubledChannel(
        Site(
            namespace="ipclab:unit",
            producers=4,
            consumers=4,
            window=10 if trouble == "batches" else 1,
            start_method="fork",
        ),
        trouble,
        **more,
    )
    channel.setup()
    return channel
