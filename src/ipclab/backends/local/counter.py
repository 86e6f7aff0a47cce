"""Counters without a server: ``value`` (shared memory), and ``queue`` and ``pipe`` with an owner process.

``value`` / ``naive`` is ``value.value += 1``: a read and a write with nothing between them that keeps others
out. ``owner`` is another remedy for a race: one process owns the number, the others send it requests.
"""

from __future__ import annotations

import ctypes
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any, Literal

from ipclab.backends.base import Counter, CounterClient, Option, Pause
from ipclab.backends.held import hold

if TYPE_CHECKING:
    from multiprocessing.queues import Queue, SimpleQueue
    from multiprocessing.sharedctypes import Synchronized

OWNER = Option("discipline", "owner", "one process owns the number, the others ask it", choices=("owner",))


class NaiveValueClient(CounterClient):
    """Increments without the lock."""

    def __init__(self, value: Synchronized[int]) -> None:
        self._value = value

    def increment(self) -> None:
        self._value.value += 1

    def read(self) -> int:
        return self._value.value


class LockedValueClient(NaiveValueClient):
    """Increments under the value's own lock."""

    def __init__(self, value: Synchronized[int]) -> None:
        super().__init__(value)
        self._lock = value.get_lock()

    def increment(self) -> None:
        with self._lock:
            self._value.value += 1


class ValueCounter(Counter):
    """``multiprocessing.Value`` in shared memory."""

    name = "value"
    summary = "multiprocessing.Value in shared memory"
    options = (Option("discipline", "locked", "with or without get_lock()", choices=("naive", "locked")),)
    _value: Synchronized[int] | None = None

    @property
    def safe(self) -> bool:
        return self.discipline == "locked"

    @property
    def reach(self) -> Literal["process tree"]:
        return "process tree"

    def setup(self) -> None:
        self._value = self.site.context.Value(ctypes.c_longlong, 0)

    def client(self, index: int) -> CounterClient:
        assert self._value is not None, "setup() comes first"
        return self._client(self._value)

    def held_client(self, index: int, pause: Pause) -> CounterClient:
        assert self._value is not None, "setup() comes first"
        return self._client(hold(self._value, pause, "value"))

    def _client(self, value: Synchronized[int]) -> CounterClient:
        return (LockedValueClient if self.safe else NaiveValueClient)(value)

    def teardown(self) -> None:
        self._value = None


class PipeOwnerClient(CounterClient):
    """Asks the owner over a duplex pipe of its own and waits for the answer."""

    def __init__(self, end: Connection) -> None:
        self._end = end

    def increment(self) -> None:
        self._end.send_bytes(b"+")
        self._end.recv_bytes()

    def read(self) -> int:
        self._end.send_bytes(b"?")
        return int(self._end.recv_bytes())

    def stop_owner(self) -> None:
        self._end.send_bytes(b".")


class PipeOwnerCounter(Counter):
    """The owner answers over one duplex pipe per client."""

    name = "pipe"
    summary = "one process owns the number, one duplex Pipe a client"
    options = (OWNER,)
    has_owner = True
    _pipes: tuple[tuple[Connection, Connection], ...] = ()

    @property
    def safe(self) -> bool:
        return True

    @property
    def reach(self) -> Literal["process tree"]:
        return "process tree"

    def setup(self) -> None:
        self._pipes = tuple(self.site.context.Pipe() for _ in range(self.site.producers))

    def client(self, index: int) -> CounterClient:
        return PipeOwnerClient(self._pipes[index][0])

    def held_client(self, index: int, pause: Pause) -> None:
        return None

    def serve(self) -> None:
        value = 0
        ends: list[Any] = [owner_end for _, owner_end in self._pipes]
        while True:
            for end in wait(ends):
                assert isinstance(end, Connection)
                request = end.recv_bytes()
                if request == b".":
                    return
                if request == b"+":
                    value += 1
                end.send_bytes(b"%d" % value)

    def teardown(self) -> None:
        for ends in self._pipes:
            for end in ends:
                end.close()
        self._pipes = ()


class QueueOwnerClient(CounterClient):
    """Puts its request into the owner's queue and waits for the answer at a queue of its own."""

    def __init__(self, index: int, requests: Queue[tuple[int, str]], answers: SimpleQueue[int]) -> None:
        self._index = index
        self._requests = requests
        self._answers = answers

    def increment(self) -> None:
        self._requests.put((self._index, "+"))
        self._answers.get()

    def read(self) -> int:
        self._requests.put((self._index, "?"))
        return self._answers.get()

    def stop_owner(self) -> None:
        self._requests.put((self._index, "."))

    def close(self) -> None:
        self._requests.close()
        self._requests.join_thread()


class QueueOwnerCounter(Counter):
    """The owner takes requests from one Queue and answers into one SimpleQueue per client."""

    name = "queue"
    summary = "one process owns the number, requests over a Queue"
    options = (OWNER,)
    has_owner = True
    _requests: Queue[tuple[int, str]] | None = None
    _answers: tuple[SimpleQueue[int], ...] = ()

    @property
    def safe(self) -> bool:
        return True

    @property
    def reach(self) -> Literal["process tree"]:
        return "process tree"

    def setup(self) -> None:
        self._requests = self.site.context.Queue()
        self._answers = tuple(self.site.context.SimpleQueue() for _ in range(self.site.producers))

    def client(self, index: int) -> CounterClient:
        assert self._requests is not None, "setup() comes first"
        return QueueOwnerClient(index, self._requests, self._answers[index])

    def held_client(self, index: int, pause: Pause) -> None:
        return None

    def serve(self) -> None:
        assert self._requests is not None, "setup() comes first"
        value = 0
        while True:
            index, request = self._requests.get()
            if request == ".":
                return
            if request == "+":
                value += 1
            self._answers[index].put(value)

    def teardown(self) -> None:
        if self._requests is not None:
            self._requests.close()
            self._requests = None
        for answers in self._answers:
            answers.close()
        self._answers = ()
