"""A TCP proxy between clients and a broker, for faults of the line that work with every provider.

It runs in a process of its own, because the lab's process has no threads, and gets its commands over a pipe.
"""

from __future__ import annotations

import os
import time
from multiprocessing.process import BaseProcess
from typing import Any, Self
from urllib.parse import urlsplit, urlunsplit

from ipclab.errors import IpclabError, UsageError
from ipclab.faults.proxy import process as proxy_process
from ipclab.faults.proxy.rules import Direction, Mode
from ipclab.host.interruptions import ending_blocked, sigint_blocked
from ipclab.host.start_methods import StartMethod, context

_START_WITHIN_S = 60.0
_ANSWER_WITHIN_S = 30.0


def url_through(url: str, port: int) -> str:
    """Return ``url`` with the address 127.0.0.1:``port``; user, password, path and query stay.

    Raise UsageError for a URL without a host, such as that of a Unix socket.
    """
    parts = urlsplit(url)
    if parts.hostname is None:
        raise UsageError(f"a {parts.scheme} URL names no host, so no proxy can stand before its server")
    user, at, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{user}{at}127.0.0.1:{port}"))


class Proxy:
    """Listens on ``port`` of 127.0.0.1 and forwards to the server at ``host:port``. A context manager.

    It connects to the server when a client connects to it, and resets the client where the server refuses.
    When one side closes or breaks, so does the other. Every command returns once it is in force for all open
    connections. Counts, slices, limits and delays are per connection.

    The process ends with the lab, however that ends, and with ``close()``; Ctrl-C does not reach it. Not
    thread-safe. A forked child must not use its copy.

    Raises OSError where it cannot listen or ``host`` is not known, IpclabError where its process is gone.
    """

    def __init__(self, host: str, port: int, start_method: StartMethod) -> None:
        chosen = context(start_method)
        self._pid = os.getpid()
        self._asked = 0
        self._connection, theirs = chosen.Pipe()
        self._process: BaseProcess = chosen.Process(
            target=proxy_process.main, args=(host, port, self._pid, theirs), name="ipclab proxy", daemon=True
        )
        try:
            with sigint_blocked():
                self._process.start()
        except BaseException:
            self._connection.close()
            raise
        finally:
            theirs.close()
        try:
            self.port: int = self._answer(_START_WITHIN_S)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def pass_all(self) -> None:
        """Heal: undo every other command, and forward what was held and everything from now on.

        A connection whose server side ``half_open()`` has closed cannot be healed, and is reset.
        """
        self._ask("pass_all")

    def swallow(self) -> None:
        """Turn the proxy into a black hole: connections stay open, and all bytes are read and discarded.

        New connections are accepted and get nothing; the close of a side is not passed on either.
        """
        self._set_mode("swallow")

    def hold(self) -> None:
        """Keep connections open and leave arriving bytes unread, or hold them, until ``pass_all()``."""
        self._set_mode("hold")

    def reset(self) -> None:
        """Reset (RST) every open connection, on both sides. Later ones follow the current mode."""
        self._ask("reset")

    def reset_and_pass(self) -> None:
        """Do ``reset()`` and ``pass_all()``, without a moment between them in which a client could connect.

        So no connection that continues lacks swallowed bytes.
        """
        self._ask("reset_and_pass")

    def hold_after(self, direction: Direction, count: int) -> None:
        """Set a trap: the first connection that forwards ``count`` more bytes in this direction is held.

        ``up`` is towards the server. It is held both ways, to the byte, until ``pass_all()`` or ``reset()``;
        the others continue. Bytes that its sender's kernel has already taken still arrive when it is
        released, even if the sender is dead by then: ``reset()`` ends the message there.
        """
        if count < 0:
            raise ValueError(f"a trap is set after 0 bytes or more, not {count}")
        self._ask("hold_after", direction, count)

    def held(self, timeout_s: float) -> bool:
        """Return whether the last trap has sprung; wait at most this long."""
        return bool(self._ask("held", timeout_s, extra_s=timeout_s))

    def drop_reply(self) -> None:
        """Drop one reply, and reset its connection on both sides; after that everything passes.

        A reply is the next data from the server on a connection that has forwarded bytes of its client since
        this call.
        """
        self._ask("drop_next", True)

    def drop_delivery(self) -> None:
        """Drop the next data from the server like ``drop_reply``, also data requested before this call."""
        self._ask("drop_next", False)

    def dropped(self, timeout_s: float) -> bool:
        """Return whether the proxy has dropped what the last call asked for; wait at most this long."""
        return bool(self._ask("dropped", timeout_s, extra_s=timeout_s))

    def delay(self, seconds: float) -> None:
        """Forward all later data with this delay, in order."""
        if not seconds >= 0:
            raise ValueError(f"a delay is 0 s or more, not {seconds}")
        self._ask("delay", seconds)

    def slice(self, size_bytes: int) -> None:
        """Forward in pieces of at most this size, each in a segment of its own."""
        if size_bytes < 1:
            raise ValueError(f"a slice has 1 byte or more, not {size_bytes}")
        self._ask("slice", size_bytes)

    def limit(self, bytes_per_s: float) -> None:
        """Forward no faster than this, in each direction of each connection."""
        if not bytes_per_s > 0:
            raise ValueError(f"a limit is above 0 bytes a second, not {bytes_per_s}")
        self._ask("limit", bytes_per_s)

    def half_open(self) -> None:
        """Close the server's side of every open connection; the client's stays open and silent."""
        self._ask("half_open")

    def forwarded(self) -> tuple[int, int]:
        """Return how many bytes of all connections have been forwarded so far: up and down."""
        up, down = self._ask("forwarded")
        return up, down

    def close(self) -> None:
        """End the process, and with it every connection. Safe to call again."""
        if os.getpid() != self._pid or self._connection.closed:
            return
        with ending_blocked():
            self._process.kill()
            self._process.join()
            self._connection.close()

    def _set_mode(self, mode: Mode) -> None:
        self._ask("set_mode", mode)

    def _ask(self, command: str, *arguments: object, extra_s: float = 0.0) -> Any:
        self._asked += 1
        try:
            self._connection.send((self._asked, command, arguments))
        except OSError:
            raise IpclabError("the proxy has ended") from None
        return self._answer(_ANSWER_WITHIN_S + extra_s)

    def _answer(self, timeout_s: float) -> Any:
        """Return the answer to the last request; skip the answer to a request that was interrupted."""
        deadline = time.monotonic() + timeout_s
        number = -1
        while number != self._asked:
            try:
                if not self._connection.poll(max(deadline - time.monotonic(), 0)):
                    raise IpclabError(f"the proxy has not answered within {timeout_s:g} s")
                number, answer = self._connection.recv()
            except (EOFError, ConnectionError):
                raise IpclabError("the proxy has ended") from None
        if isinstance(answer, BaseException):
            raise answer
        return answer
