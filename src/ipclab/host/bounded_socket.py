"""A connection with a limit on the bytes it reads and on its time, whatever the other side sends.

A client's own timeout starts anew with every byte, and its buffer grows with what arrives. A server that
sends a byte per second would hold it for ever, and one that sends without end would use up the machine's
memory.
"""

from __future__ import annotations

import io
import socket
import time
from dataclasses import dataclass
from typing import Any


class TooMuchError(ConnectionError):
    """More bytes came than any answer has."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What one connection may take in, and how long it may last."""

    most_bytes: int
    within_s: float

    def around(self, link: socket.socket) -> BoundedSocket:
        """Return this connected socket within these bounds; the time begins now."""
        return BoundedSocket(link, most_bytes=self.most_bytes, within_s=self.within_s)


class BoundedSocket:
    """A connected socket, plain or TLS, that receives at most ``most_bytes`` within ``within_s``.

    What receives and sends raises TooMuchError and TimeoutError beyond these limits. Everything else is done
    by the socket itself. Not thread-safe.
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

    def send(self, data: Any, flags: int = 0) -> int:
        """Send what can be sent, as ``socket.send()`` does."""
        self._check()
        return self._link.send(data, flags)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send all of it, as ``socket.sendall()`` does."""
        self._check()
        self._link.sendall(data, flags)

    def makefile(self, mode: str = "rb", buffering: int = -1) -> io.BufferedReader:
        """Return a file that reads what comes, within the same bounds; for ``http.client``."""
        # The file of the socket itself: it keeps the connection open when ``http.client`` closes the socket
        # before it reads an answer without a length.
        return io.BufferedReader(_Incoming(self, self._link.makefile("rb", buffering=0)))

    def _read_from(self, file: io.RawIOBase, buffer: Any) -> int:
        self._check()
        many: int = file.readinto(buffer) or 0
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


class _Incoming(io.RawIOBase):
    def __init__(self, link: BoundedSocket, file: io.RawIOBase) -> None:
        super().__init__()
        self._link = link
        self._file = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._link._read_from(self._file, buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
