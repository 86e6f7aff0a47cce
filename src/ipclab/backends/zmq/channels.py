"""ZeroMQ PUSH and PULL: consumers listen, and every producer connects to each of them.

A thread of ZeroMQ in each process moves the messages between a queue of its own and the socket. So the return
of ``send()`` only says that a message is in a queue of this process.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.util import get_temp_dir
from typing import TYPE_CHECKING, Any, ClassVar

from ipclab.backends.base import Channel, Consumer, Guarantees, Option, Producer
from ipclab.host import ports

if TYPE_CHECKING:
    from zmq import Socket

LINGER_MS = 5000
"""How long a producer that closes waits until its queue is written to the sockets."""


class ZmqChannel(Channel):
    """PUSH sockets that deal their messages out to PULL sockets in turns.

    A queue holds at most ``hwm`` messages for each connection, its high-water mark, on both sides. A producer
    whose queues are all full waits, so a slow consumer costs nothing but time. What is in the queues and in
    the sockets ends with the process that holds it, and with the connection.

    With ``immediate=1`` a producer queues messages only for consumers that are connected, and waits while
    there is none. With ``immediate=0``, which is ZeroMQ's default, it queues them also for a consumer that is
    not there, up to the high-water mark, where they wait although others could take them.
    """

    name = "zmq"
    summary = "ZeroMQ PUSH and PULL, without a broker: queues in both processes, n to m"
    libraries = ("pyzmq",)
    options: ClassVar[tuple[Option, ...]] = (
        Option("transport", "ipc", "ipc: Unix sockets; tcp: the loopback interface", ("ipc", "tcp")),
        Option("hwm", 1000, "messages that each side queues for one connection, its high-water mark"),
        Option("immediate", 1, "1: queue messages for connected consumers only", (1, 0)),
    )
    impossible_moments: ClassVar[Mapping[str, str]] = {
        "mid-message": "a thread of ZeroMQ reads a message whole, whatever the process does"
    }
    _addresses: tuple[str, ...] = ()

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset({"producer crash", "consumer crash", "connection loss"}),
            order="per-producer",
            durability="none",
            confirm="buffered",
            reach="host" if self.chosen["transport"] == "ipc" else "network",
        )

    @property
    def most_in_flight(self) -> int | None:
        """Return None: all that is in the queue of a consumer and in its sockets ends with it."""
        return None

    def setup(self) -> None:
        self._addresses = tuple(self._address() for _ in range(self.site.consumers))

    def _address(self) -> str:
        if self.chosen["transport"] == "tcp":
            return f"tcp://127.0.0.1:{ports.free_port()}"
        # A short name: the path of a Unix socket has 107 bytes at most.
        return f"ipc://{os.path.join(get_temp_dir(), f'zmq-{secrets.token_hex(4)}')}"

    def producer(self, index: int) -> Producer:
        import zmq

        end = _socket(zmq.PUSH, int(self.chosen["hwm"]))
        end.setsockopt(zmq.IMMEDIATE, int(self.chosen["immediate"]))
        end.setsockopt(zmq.LINGER, LINGER_MS)
        for address in self._addresses:
            end.connect(address)
        return _Pusher(end)

    def consumer(self, index: int) -> Consumer:
        import zmq

        end = _socket(zmq.PULL, int(self.chosen["hwm"]))
        end.setsockopt(zmq.LINGER, 0)
        end.bind(self._addresses[index])
        return _Puller(end)

    def teardown(self) -> None:
        for address in self._addresses:
            if address.startswith("ipc://"):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(address.removeprefix("ipc://"))
        self._addresses = ()


def _socket(kind: int, most_queued: int) -> Socket[bytes]:
    """Return a new socket with a context, and so a thread, of its own."""
    import zmq

    end = zmq.Context().socket(kind)
    end.set_hwm(most_queued)
    return end


class _End:
    """What both ends share: a socket and its context."""

    def __init__(self, end: Any) -> None:
        self._end = end

    def close(self) -> None:
        context = self._end.context
        self._end.close()
        context.term()


class _Pusher(_End, Producer):
    """Queues a message; waits while there is room in no queue."""

    def send(self, body: bytes) -> None:
        self._end.send(body)

    def sender(self) -> Callable[[bytes], object]:
        send: Callable[[bytes], object] = self._end.send
        return send


class _Puller(_End, Consumer):
    """Takes one message at a time from its queue."""

    def receive(self) -> Sequence[bytes]:
        return (self._end.recv(),)

    def receiver(self) -> Callable[[], bytes]:
        receive: Callable[[], bytes] = self._end.recv
        return receive
