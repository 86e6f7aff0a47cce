"""Queues that carry arrays and change them: what programs do by mistake, seeded."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ipclab.backends.base import Consumer, Producer
from ipclab.backends.local.queue import QueueChannel, SimpleQueueChannel
from ipclab.trial.message import STOP

EVERY = 5
"""One of so many messages meets the defect."""


class _MutatingProducer(Producer):
    """Fills an array anew as soon as ``put()`` has returned, before the feeder thread has pickled it."""

    def __init__(self, inner: Producer) -> None:
        self._inner = inner
        self._count = 0

    def send(self, body: Any) -> None:
        self._count += 1
        if (isinstance(body, bytes) and body == STOP) or self._count % EVERY:
            self._inner.send(body)
            return
        gate = _Gate(body)
        self._inner.send(gate)  # type: ignore[arg-type]
        body[len(body) // 2 :] = 0
        gate.open = True

    def close(self) -> None:
        self._inner.close()


class _Gate:
    """Stands for the array, and is pickled as the array once it was changed: the race, forced."""

    def __init__(self, array: Any) -> None:
        self.array, self.open = array, False

    def __reduce__(self) -> tuple[Any, ...]:
        while not self.open:
            pass
        result: tuple[Any, ...] = self.array.__reduce__()
        return result


class MutatedChannel(QueueChannel):
    """A queue whose sender changes some arrays after ``put()``."""

    name = "mutated"

    def producer(self, index: int) -> Producer:
        return _MutatingProducer(super().producer(index))


class _FlippingConsumer(Consumer):
    def __init__(self, inner: Consumer) -> None:
        self._inner = inner
        self._count = 0

    def receive(self) -> Sequence[Any]:
        message: Any
        (message,) = self._inner.receive()
        self._count += 1
        if not isinstance(message, bytes) and not self._count % EVERY:
            message.view("u1")[message.nbytes // 2] ^= 1
        return [message]


class FlippingChannel(SimpleQueueChannel):
    """Flips one bit in the middle of some arrays."""

    name = "flipping"

    def consumer(self, index: int) -> Consumer:
        return _FlippingConsumer(super().consumer(index))


class _VanishingConsumer(Consumer):
    """Never hands over some messages, though it took them out of the queue."""

    def __init__(self, inner: Consumer) -> None:
        self._inner = inner
        self._count = 0

    def receive(self) -> Sequence[Any]:
        while True:
            messages = self._inner.receive()
            self._count += 1
            if messages[0] == STOP or self._count % EVERY:
                return messages


class VanishingChannel(SimpleQueueChannel):
    """Loses some messages, so that nobody unlinks their segments."""

    name = "vanishing"

    def consumer(self, index: int) -> Consumer:
        return _VanishingConsumer(super().consumer(index))


class _FallingConsumer(Consumer):
    """Kills its own process at the tenth message, before that is opened."""

    def __init__(self, inner: Consumer) -> None:
        self._inner = inner
        self._count = 0

    def receive(self) -> Sequence[Any]:
        import os
        import signal

        messages = self._inner.receive()
        self._count += 1
        if self._count == 10:
            os.kill(os.getpid(), signal.SIGKILL)
        return messages


class FallingChannel(SimpleQueueChannel):
    """Has a consumer that is killed with a message in its hands."""

    name = "falling"

    def consumer(self, index: int) -> Consumer:
        return _FallingConsumer(super().consumer(index))


CHANNELS = (MutatedChannel, FlippingChannel, VanishingChannel, FallingChannel)
