"""multiprocessing's three queues: ``queue``, ``joinable-queue`` and ``simple-queue``.

``Queue.put`` only hands the object to a thread of the sending process, which pickles it and writes it into a
pipe under a lock. So the return of ``send()`` means ``buffered``, and what a killed producer had buffered is
lost. ``SimpleQueue.put`` writes to the pipe itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from ipclab.backends.base import Channel, Consumer, Guarantees, LossCause, Producer

if TYPE_CHECKING:
    from multiprocessing.queues import JoinableQueue, Queue, SimpleQueue


class QueueProducer(Producer):
    """Puts into a ``Queue``; ``close()`` waits until the feeder thread has written everything."""

    def __init__(self, queue: Queue[bytes]) -> None:
        self._queue = queue
        self._put = queue.put

    def send(self, body: bytes) -> None:
        self._put(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._put

    def close(self) -> None:
        self._queue.close()
        self._queue.join_thread()


class SimpleQueueProducer(Producer):
    """Puts into a ``SimpleQueue``: pickled and written to the pipe before ``send()`` returns."""

    def __init__(self, queue: SimpleQueue[bytes]) -> None:
        self._put = queue.put

    def send(self, body: bytes) -> None:
        self._put(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._put


class QueueConsumer(Consumer):
    """Gets from a ``Queue`` or a ``SimpleQueue``, one message at a time."""

    def __init__(self, queue: Queue[bytes] | SimpleQueue[bytes]) -> None:
        self._get = queue.get

    def receive(self) -> Sequence[bytes]:
        return (self._get(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._get


class JoinableQueueConsumer(Consumer):
    """Gets from a ``JoinableQueue``; ``ack()`` is ``task_done()``."""

    acknowledges = True

    def __init__(self, queue: JoinableQueue[bytes]) -> None:
        self._get = queue.get
        # ``ack()`` does nothing else, so the hot loop need not pay for a second call.
        self.ack = queue.task_done  # type: ignore[method-assign]

    def receive(self) -> Sequence[bytes]:
        return (self._get(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._get


class QueueChannel(Channel):
    """``multiprocessing.Queue``, unbounded: what most programs use. The other two queues are similar."""

    name = "queue"
    summary = "multiprocessing.Queue: a pipe, two locks and a feeder thread"
    confirm: ClassVar[Literal["buffered", "written"]] = "buffered"
    carries_objects: ClassVar[Literal["", "at once", "later"]] = "later"
    _queue: Any = None

    @property
    def guarantees(self) -> Guarantees:
        buffered: frozenset[LossCause] = frozenset({"producer crash"} if self.confirm == "buffered" else ())
        return Guarantees(
            delivery="at-most-once",
            may_lose=buffered | {"consumer crash"},
            order="per-producer",
            durability="none",
            confirm=self.confirm,
            reach="process tree",
        )

    def setup(self) -> None:
        self._queue = self.site.context.Queue()

    def producer(self, index: int) -> Producer:
        return QueueProducer(self._queue)

    def consumer(self, index: int) -> Consumer:
        return QueueConsumer(self._queue)

    def teardown(self) -> None:
        if self._queue is not None:
            self._queue.close()
            self._queue = None


class JoinableQueueChannel(QueueChannel):
    """``multiprocessing.JoinableQueue``: a ``Queue`` that counts unfinished tasks."""

    name = "joinable-queue"
    summary = "multiprocessing.JoinableQueue: Queue plus task_done()"

    def setup(self) -> None:
        self._queue = self.site.context.JoinableQueue()

    def consumer(self, index: int) -> Consumer:
        return JoinableQueueConsumer(self._queue)


class SimpleQueueChannel(QueueChannel):
    """``multiprocessing.SimpleQueue``: a pipe with a lock at each end, no thread."""

    name = "simple-queue"
    summary = "multiprocessing.SimpleQueue: a pipe with a lock at each end"
    confirm = "written"
    carries_objects = "at once"

    def setup(self) -> None:
        self._queue = self.site.context.SimpleQueue()

    def producer(self, index: int) -> Producer:
        return SimpleQueueProducer(self._queue)
