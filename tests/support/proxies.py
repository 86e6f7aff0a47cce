"""Clients and servers on the two sides of a proxy."""

from __future__ import annotations

import multiprocessing
import select
import socket
import socketserver
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ipclab.faults.proxy.handle import Proxy

PATIENCE_S = 20.0
SILENCE_S = 0.2
"""How long nothing must come for it to count as nothing: only a bug would be quicker."""
Connect = Callable[[Proxy], socket.socket]


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        while got := self.request.recv(65536):
            self.request.sendall(got)


class _EchoServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


@contextmanager
def echo_server() -> Iterator[int]:
    """Yield the port of a server, in a process of its own, that sends back what it receives."""
    with _EchoServer(("127.0.0.1", 0), _Echo) as server:
        process = multiprocessing.get_context("fork").Process(target=server.serve_forever, daemon=True)
        process.start()
        yield server.server_address[1]
        process.kill()
        process.join()


def receive(side: socket.socket, count: int) -> bytes:
    """Return this many bytes, or fewer where the other side closes before."""
    got = b""
    while len(got) < count and (more := side.recv(count - len(got))):
        got += more
    return got


def echoes(client: socket.socket, message: bytes) -> bool:
    client.sendall(message)
    return receive(client, len(message)) == message


def is_silent(side: socket.socket) -> bool:
    """Return whether neither bytes nor the end of the connection come."""
    return not select.select([side], [], [], SILENCE_S)[0]


def is_reset(side: socket.socket) -> bool:
    """Return whether the connection is reset, and not just closed, before anything else comes."""
    try:
        side.recv(1)
    except ConnectionResetError:
        return True
    return False
