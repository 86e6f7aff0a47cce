"""``listener-unix`` and ``listener-tcp``: ``multiprocessing.connection``, between unrelated programs.

The consumer listens and every producer connects to it, so there is one consumer. What producers have sent
lies in the buffers of their connections, which end with the consumer.

There is no ``authkey``: its handshake would make a producer wait until the consumer receives. Only bytes
travel, never pickles.
"""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing.connection import Client, Connection, Listener, wait
from multiprocessing.util import get_temp_dir
from socket import socket
from typing import Any, ClassVar, Literal

from ipclab.backends.base import Channel, Consumer, Guarantees, Producer

_BACKLOG = 128


class ListenerProducer(Producer):
    """Writes to a connection of its own; blocks while its buffers are full."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._send_bytes = connection.send_bytes

    def send(self, body: bytes) -> None:
        self._send_bytes(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._send_bytes

    def close(self) -> None:
        self._connection.close()


class ListenerConsumer(Consumer):
    """Accepts connections, and reads one message at a time from those that have one, in turns."""

    def __init__(self, door: socket) -> None:
        self._door = door
        self._connections: list[Any] = []
        self._ready: deque[Connection] = deque()

    def receive(self) -> Sequence[bytes]:
        return (self._receive_one(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._receive_one

    def _receive_one(self) -> bytes:
        while True:
            while self._ready:
                connection = self._ready.popleft()
                try:
                    return connection.recv_bytes()
                except (EOFError, OSError):
                    # Its producer has ended; what it had sent whole was read before.
                    self._connections.remove(connection)
                    connection.close()
            for found in wait([self._door, *self._connections]):
                if found is self._door:
                    self._connections.append(Connection(self._door.accept()[0].detach()))
                else:
                    self._ready.append(found)  # type: ignore[arg-type]

    def close(self) -> None:
        for connection in self._connections:
            connection.close()


class ListenerUnixChannel(Channel):
    """A ``Listener`` at a Unix socket."""

    name = "listener-unix"
    summary = "multiprocessing.connection Listener and Client over a Unix socket, n to 1"
    max_consumers: ClassVar[int | None] = 1
    reach: ClassVar[Literal["host", "network"]] = "host"
    _listener: Listener | None = None
    _door: socket | None = None
    _address: Any = None

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset({"consumer crash", "connection loss"}),
            order="per-producer",
            durability="none",
            confirm="written",
            reach=self.reach,
        )

    @property
    def most_in_flight(self) -> int | None:
        """Return None: all that is in the buffers of the connections ends with the consumer."""
        return None

    def setup(self) -> None:
        # A short name: the path of a Unix socket has 107 bytes at most.
        path = os.path.join(get_temp_dir(), f"listener-{secrets.token_hex(4)}")
        self._open(Listener(path, "AF_UNIX", backlog=_BACKLOG))

    def _open(self, listener: Listener) -> None:
        self._listener, self._address = listener, listener.address
        # The socket itself, because a Listener has no way to wait for a new connection and for messages at
        # once, and cannot be pickled.
        self._door = listener._listener._socket  # type: ignore[attr-defined]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_listener": None}

    def producer(self, index: int) -> Producer:
        return ListenerProducer(Client(self._address))

    def consumer(self, index: int) -> Consumer:
        assert self._door is not None, "setup() comes first"
        return ListenerConsumer(self._door)

    def teardown(self) -> None:
        if self._listener is not None:
            self._listener.close()
            self._listener = self._door = None


class ListenerTcpChannel(ListenerUnixChannel):
    """A ``Listener`` at a free TCP port of the loopback interface."""

    name = "listener-tcp"
    summary = "multiprocessing.connection Listener and Client over TCP, n to 1"
    reach = "network"

    def setup(self) -> None:
        self._open(Listener(("127.0.0.1", 0), "AF_INET", backlog=_BACKLOG))
