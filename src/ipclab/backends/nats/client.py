"""How every NATS adapter talks to its server: nats-py on an event loop of its own, no retries.

nats-py has an asyncio client only. The loop runs while a call of the adapter waits for something, and stands
still between two calls: nothing is read, sent or answered then. The server asks a client for a sign of life
only every two minutes.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from ipclab.errors import BrokerUnavailableError, UsageError

if TYPE_CHECKING:
    from nats.aio.client import Client

PORT = 4222
TLS_SCHEME = "tls"
CONNECT_TIMEOUT_S = 5
REPLY_TIMEOUT_S = 5.0
"""For a silent server. When the server is gone, ``Link`` fails a pending request, which nats-py does not."""

T = TypeVar("T")
_open: set[Link] = set()
"""The links that nobody has closed. A loop that is freed with tasks in it complains on standard error."""


class Link:
    """One connection with its event loop. Not thread-safe, not usable after a fork.

    A call that waits raises nats-py's ``ConnectionClosedError`` when the connection ends. Raise
    BrokerUnavailableError where the server cannot be reached or refuses the login.
    """

    def __init__(self, url: str, *, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        import nats.errors
        from nats.aio.client import Client

        self.client: Client = Client()
        self.failure: BaseException | None = None
        self._closed_error = nats.errors.ConnectionClosedError
        self._waiting: asyncio.Task[Any] | None = None
        self._is_connecting = True
        self._loop = asyncio.new_event_loop()
        _open.add(self)
        try:
            self._loop.run_until_complete(asyncio.wait_for(self._connect(url, timeout_s), timeout_s))
        except (nats.errors.Error, OSError, TimeoutError) as error:
            failure = self.failure or error
            self.close()
            raise unavailable(url, failure) from error
        except BaseException:
            self.close()
            raise

    async def _connect(self, url: str, timeout_s: float) -> None:
        await self.client.connect(
            url,
            allow_reconnect=False,
            connect_timeout=max(1, int(timeout_s)),
            error_cb=self._on_error,
            closed_cb=self._on_closed,
        )
        self._is_connecting = False
        # So that drain() waits until all is in the socket, and not only until less than 64 KiB is left.
        transport: Any = self.client._transport
        transport._io_writer.transport.set_write_buffer_limits(high=0)

    async def write_out(self) -> None:
        """Return once all that was published is written to the socket.

        The client writes messages in a task of its own, which needs a turn. Without it, ``flush()`` would
        write its PING ahead of the messages, and the PONG would not answer for them.
        """
        await asyncio.sleep(0)
        while self.client.pending_data_size and self.client.is_connected:
            await asyncio.sleep(0)
        transport: Any = self.client._transport
        await transport.drain()

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        """Run one call of the client to its end. Raise what it raises, or that the connection has ended."""
        if self.client.is_closed:
            call.close()
            raise self._ended()
        self._waiting = self._loop.create_task(call)
        try:
            done: T = self._loop.run_until_complete(self._waiting)
            return done
        except asyncio.CancelledError:
            raise self._ended() from None
        finally:
            self._waiting = None

    def require_reading(self) -> None:
        """Raise ``ConnectionClosedError`` where the client does not read any more.

        nats-py's ``flush()`` then returns without the server's answer and without an error.
        """
        reading = self.client._reading_task
        if not self.client.is_connected or reading is None or reading.done():
            raise self._ended()

    def close(self) -> None:
        """Close the connection, what is still to be sent first, and end the loop."""
        if self._loop.is_closed():
            return
        _open.discard(self)
        try:
            self._loop.run_until_complete(self._finish())
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()

    def abandon(self) -> None:
        """End the loop of a process that ends without ``close()``. Send and report nothing."""
        with contextlib.suppress(Exception):
            self._loop.run_until_complete(self._cancel_rest())
            self._loop.close()

    async def _finish(self) -> None:
        await self.client.close()
        await self._cancel_rest()

    async def _cancel_rest(self) -> None:
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _ended(self) -> BaseException:
        """Return the error of a connection that has ended, with the reason where one is known."""
        error = self._closed_error()
        error.__cause__ = self.failure or self.client.last_error
        return error

    async def _on_error(self, error: Exception) -> None:
        self.failure = error
        if self._is_connecting:
            raise error  # otherwise nats-py tries again until it has no time left

    async def _on_closed(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()


@atexit.register
def _abandon_all() -> None:
    for link in tuple(_open):
        link.abandon()


def unavailable(url: str, error: BaseException) -> BrokerUnavailableError:
    """Return the error for the user where the server at ``url`` failed with ``error``."""
    parts = urlsplit(url)
    why = " ".join(str(error).split()) or type(error).__name__
    return BrokerUnavailableError(f"no NATS to work with at {parts.hostname}:{parts.port or PORT}: {why}")


def check(url: str) -> None:
    """Raise UsageError, without any value of ``url``, where nats-py cannot use it or would ignore a part."""
    parts = urlsplit(url)
    if parts.query or parts.path not in ("", "/"):
        raise UsageError("a URL of NATS has no path and no options; write it like nats://user:password@host")
