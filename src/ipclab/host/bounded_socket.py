"""A connection with a limit on the bytes it reads and on its time, whatever the other side sends.

A client's own timeout starts anew with every byte, and its buffer grows with what arrives. A server that
sends a byte per second would hold it for ever, and one that sends without end would use up the machine's
memory.
"""

from __future__ import annotations

import socket
import time
from typing import Any


class TooMuchError(ConnectionError):
    """More bytes came than any answer has."""


class BoundedSocket:
    """A connected socket, plain or TLS, that receives at most ``most_bytes`` within ``within_s``.

    Everything else is done by the socket itself. ``recv()`` and ``recv_into()`` raise TooMuchError and
    TimeoutError beyond these limits. Not thread-safe.
    """

    def __init__(self, link: socket.socket, *, most_bytes: int, within_s: float) -> None:
        self._link = link
        self._left_bytes = most_bytes
        self._until_s = time.monotonic() + within_s
        self._within_s = within_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._link, name)

    def recv(self, size: int, flags: int = 0) -> bytes:
        """Return the received bytes, as ``socket.recv()`` does."""
        self._check()
        found = self._link.recv(size, flags)
        self._left_bytes -= len(found)
        return found

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Fill the buffer with received bytes, as ``socket.recv_into()`` does."""
        self._check()
        many = self._link.recv_into(buffer, nbytes, flags)
        self._left_bytes -= many
        return many

    def _check(self) -> None:
        if self._left_bytes <= 0:
            raise TooMuchError("it sends more than any answer has")
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError(f"no whole answer within {self._within_s:g} s")
        timeout_s = self._link.gettimeout()
        if timeout_s is None or timeout_s > left_s:
            self._link.settimeout(left_s)
