"""``socketpair``: a pair of Unix sockets of the type SOCK_SEQPACKET, for any number of each end.

The kernel takes and gives each message whole, so the ends need no lock: a process that is killed leaves
neither a lock nor a part of a message. A message must fit into the buffer of the socket.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import ClassVar

from ipclab.backends.base import Channel, Consumer, Guarantees, Producer
from ipclab.errors import UsageError

LARGEST_BYTES = 200_000
_BUFFER_BYTES = 212_992
"""The buffer that Linux grants to every process by default, which holds messages and their overhead."""


class SocketpairProducer(Producer):
    """Sends one datagram for each message; blocks while the buffer is full."""

    def __init__(self, end: socket.socket) -> None:
        self._send = end.send

    def send(self, body: bytes) -> None:
        """Hand the message to the kernel. Raise OSError (EMSGSIZE) where it is larger than the buffer."""
        self._send(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._send


class SocketpairConsumer(Consumer):
    """Receives one datagram at a time."""

    def __init__(self, end: socket.socket) -> None:
        self._recv: Callable[[], bytes] = partial(end.recv, _BUFFER_BYTES)

    def receive(self) -> Sequence[bytes]:
        return (self._recv(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._recv


class SocketpairChannel(Channel):
    """``socket.socketpair(AF_UNIX, SOCK_SEQPACKET)``.

    Both ends stay open in the process that made them, so that it can start another worker.
    """

    name = "socketpair"
    summary = "socket.socketpair of SOCK_SEQPACKET: whole messages, no lock, n to m"
    impossible_moments: ClassVar[Mapping[str, str]] = {
        "mid-message": "the kernel takes and gives each datagram whole"
    }
    _ends: tuple[socket.socket, socket.socket] | None = None

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            # What was sent stays in the socket for as long as a process can read it.
            may_lose=frozenset({"consumer crash"}),
            order="per-producer",
            durability="none",
            confirm="written",
            reach="process tree",
            max_message_bytes=LARGEST_BYTES,
        )

    def setup(self) -> None:
        """Make the sockets. Raise UsageError where the system grants too small a buffer."""
        self._ends = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        writer = self._ends[1]
        # The kernel doubles the number, to have room for its own data.
        writer.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER_BYTES // 2)
        granted = writer.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF)
        if granted < _BUFFER_BYTES:
            raise UsageError(
                f"a socket gets a buffer of {granted} bytes here, and {self.name} needs {_BUFFER_BYTES}: "
                f"sysctl net.core.wmem_max={_BUFFER_BYTES}"
            )

    def producer(self, index: int) -> Producer:
        return SocketpairProducer(self._open_ends[1])

    def consumer(self, index: int) -> Consumer:
        return SocketpairConsumer(self._open_ends[0])

    def teardown(self) -> None:
        for end in self._ends or ():
            end.close()
        self._ends = None

    @property
    def _open_ends(self) -> tuple[socket.socket, socket.socket]:
        assert self._ends is not None, "setup() comes first"
        return self._ends
