"""One connection through the proxy: a client's side, a server's side, and a reader and a writer each way."""

from __future__ import annotations

import asyncio
import enum
import socket
import struct
from collections.abc import Awaitable, Callable

from ipclab.faults.proxy.rules import Direction, Rules

BUFFER_BYTES = 256 * 1024
"""The kernel's buffer for the proxy: small, so that held bytes are still with their sender."""
_CHUNK_BYTES = 16 * 1024
_CHUNKS_UNDER_WAY = 64
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class _End(enum.Enum):
    """What follows the last bytes of a direction."""

    CLOSED = "the sender has closed"
    BROKEN = "the sender's connection is broken"
    DROPPED = "bytes were dropped here"


_Transit = asyncio.Queue[tuple[float, bytes | _End]]
"""The bytes in transit, with the loop's time at which they may be forwarded."""


class Link:
    """Carries the bytes of one client by the rules, until both sides have closed or it is cancelled.

    A link that is cancelled, or one of whose sides breaks, resets both.
    """

    def __init__(
        self, rules: Rules, client: socket.socket, dial: Callable[[], Awaitable[socket.socket]]
    ) -> None:
        self._rules = rules
        self._client = client
        self._dial = dial
        self._server: socket.socket | None = None
        self._connected = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._pumps: list[asyncio.Task[None]] = []
        self.silent = False

    async def run(self) -> None:
        """Carry bytes until the end. Raise nothing for what the two sides do."""
        broken = True
        up: _Transit = asyncio.Queue(_CHUNKS_UNDER_WAY)
        down: _Transit = asyncio.Queue(_CHUNKS_UNDER_WAY)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._pumps = [
                    group.create_task(pump)
                    for pump in (
                        self._connect(),
                        self._read("up", up),
                        self._write("up", up),
                        self._read("down", down),
                        self._write("down", down),
                    )
                ]
            broken = False
        except* OSError:
            pass
        finally:
            for side in (self._client, self._server):
                if side is not None:
                    _close(side, reset=broken)

    async def half_open(self) -> None:
        """Close only the server's side; whatever the client sends from now on gets no answer."""
        if self._group is None or self.silent or all(pump.done() for pump in self._pumps):
            return
        self.silent = True
        closed = asyncio.Event()
        self._group.create_task(self._ignore_the_client(closed))
        await closed.wait()

    async def _ignore_the_client(self, closed: asyncio.Event) -> None:
        for pump in self._pumps:
            pump.cancel()
        await asyncio.wait(self._pumps)
        if self._server is not None:
            self._server.close()
        closed.set()
        while await asyncio.get_running_loop().sock_recv(self._client, _CHUNK_BYTES):
            pass

    async def _connect(self) -> None:
        await self._rules.until(lambda: self._rules.lets_through(self))
        self._server = await self._dial()
        self._connected.set()

    async def _read(self, direction: Direction, transit: _Transit) -> None:
        loop = asyncio.get_running_loop()
        source = self._client if direction == "up" else await self._connected_server()
        got: bytes | _End = b""
        while not isinstance(got, _End):
            # Held bytes stay with their sender as far as possible.
            await self._rules.until(lambda: not self._rules.holds(self))
            try:
                got = await loop.sock_recv(source, _CHUNK_BYTES) or _End.CLOSED
            except OSError:
                got = _End.BROKEN
            if direction == "down" and isinstance(got, bytes) and self._rules.takes_for_drop(self):
                got = _End.DROPPED
            await transit.put((loop.time() + self._rules.delay_s, got))

    async def _write(self, direction: Direction, transit: _Transit) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due, chunk = await transit.get()
            if (early_s := due - loop.time()) > 0:
                await asyncio.sleep(early_s)
            if not isinstance(chunk, _End):
                await self._forward(direction, chunk)
                continue
            # The close of a side is also information, which neither a held line nor a black hole carries.
            await self._rules.until(lambda: self._rules.lets_through(self))
            if chunk is _End.DROPPED:
                self._rules.dropped.set()
            if chunk is not _End.CLOSED:
                raise ConnectionResetError(chunk.value)
            (await self._target(direction)).shutdown(socket.SHUT_WR)
            return

    async def _forward(self, direction: Direction, chunk: bytes) -> None:
        left = memoryview(chunk)
        while left:
            await self._rules.until(lambda: not self._rules.holds(self))
            if self._rules.mode == "swallow":
                return
            if not self._connected.is_set():
                await self._connected.wait()
                continue
            size = self._rules.room(self, direction, len(left))
            if size == 0:
                continue
            self._rules.forwarding(self, direction)
            # The mark of a record's end keeps the kernel from joining slices while they wait to be sent.
            flags = 0 if self._rules.slice_bytes is None else socket.MSG_EOR
            await _send(await self._target(direction), left[:size], flags)
            self._rules.forwarded(self, direction, size)
            left = left[size:]
            if self._rules.bytes_per_s is not None:
                await asyncio.sleep(size / self._rules.bytes_per_s)

    async def _target(self, direction: Direction) -> socket.socket:
        return self._client if direction == "down" else await self._connected_server()

    async def _connected_server(self) -> socket.socket:
        await self._connected.wait()
        assert self._server is not None
        return self._server


async def _send(side: socket.socket, left: memoryview, flags: int) -> None:
    """Send all bytes like the loop's ``sock_sendall``, which accepts no flags."""
    loop = asyncio.get_running_loop()
    while left:
        try:
            left = left[side.send(left, flags) :]
        except BlockingIOError:
            writable = asyncio.Event()
            loop.add_writer(side, writable.set)
            try:
                await writable.wait()
            finally:
                loop.remove_writer(side)


def _close(side: socket.socket, *, reset: bool) -> None:
    if reset and side.fileno() >= 0:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    side.close()
