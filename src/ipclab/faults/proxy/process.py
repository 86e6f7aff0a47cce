"""The process of the proxy: listens, makes a link of every connection, and executes the lab's commands.

Over the pipe to the lab, one answer to each request, in their order::

    proxy   (0, port)                        it listens; or (0, OSError)
    lab     (number, command, arguments)     a method of ``_Server``
    proxy   (number, what it returned or raised)
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import socket
from multiprocessing.connection import Connection

from ipclab.faults.proxy.link import BUFFER_BYTES, Link
from ipclab.faults.proxy.rules import Direction, Drop, Mode, Rules, Trap
from ipclab.host.child import reset_signals

_BACKLOG = 128
Address = tuple[object, ...]


def main(host: str, port: int, lab_pid: int, lab: Connection) -> None:
    """Run the proxy's process. End when the lab closes its end of the pipe, or is gone."""
    reset_signals()
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        addresses: list[tuple[int, Address]] = [(family, address) for family, _, _, _, address in found]
        listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
    except OSError as error:
        lab.send((0, error))
        return
    with listener, contextlib.suppress(ProcessLookupError):
        asyncio.run(_Server(listener, addresses, lab).serve(lab_pid))


class _Server:
    """The proxy's server. Its public methods are the commands."""

    def __init__(
        self, listener: socket.socket, addresses: list[tuple[int, Address]], lab: Connection
    ) -> None:
        self._listener = listener
        self._addresses = addresses
        self._lab = lab
        self._links: dict[Link, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def serve(self, lab_pid: int) -> None:
        """Serve until the lab is gone. Raise ProcessLookupError where it was gone before."""
        self._rules = Rules()
        self._ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        # A closed pipe is no sufficient proof: other children of the lab may hold a copy of its end.
        handle = os.pidfd_open(lab_pid)
        loop.add_reader(handle, self._ended.set)
        self._listener.setblocking(False)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)
        loop.add_reader(self._listener, self._accept)
        loop.add_reader(self._lab.fileno(), self._take_request)
        self._lab.send((0, self._listener.getsockname()[1]))
        await self._ended.wait()
        await self.reset()

    async def pass_all(self) -> None:
        self._rules.pass_all()
        await self._cancel([link for link in self._links if link.silent])

    async def set_mode(self, mode: Mode) -> None:
        self._rules.set_mode(mode)

    async def reset(self) -> None:
        self._accept()
        await self._cancel(list(self._links))

    async def reset_and_pass(self) -> None:
        self._accept()
        while self._links:
            await self._cancel(list(self._links))
            self._accept()
        self._rules.pass_all()

    async def half_open(self) -> None:
        self._accept()
        for link in list(self._links):
            await link.half_open()

    async def hold_after(self, direction: Direction, count: int) -> None:
        self._rules.set_trap(Trap(direction, count))

    async def held(self, timeout_s: float) -> bool:
        return await _happens(self._rules.sprung, timeout_s)

    async def drop_next(self, replies_only: bool) -> None:
        self._rules.set_drop(Drop(replies_only))

    async def dropped(self, timeout_s: float) -> bool:
        return await _happens(self._rules.dropped, timeout_s)

    async def delay(self, seconds: float) -> None:
        self._rules.delay_s = seconds

    async def slice(self, size_bytes: int) -> None:
        self._rules.slice_bytes = size_bytes

    async def limit(self, bytes_per_s: float) -> None:
        self._rules.bytes_per_s = bytes_per_s

    async def forwarded(self) -> tuple[int, int]:
        return self._rules.forwarded_bytes["up"], self._rules.forwarded_bytes["down"]

    def _accept(self) -> None:
        """Accept every waiting connection, so that a command reaches all that clients consider open."""
        while True:
            try:
                client, _ = self._listener.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:
                continue
            _prepare(client)
            link = Link(self._rules, client, self._dial)
            task = asyncio.create_task(link.run())
            self._links[link] = task
            task.add_done_callback(functools.partial(self._forget, link))

    def _forget(self, link: Link, _ended: asyncio.Task[None]) -> None:
        self._links.pop(link, None)
        self._rules.forget(link)

    async def _dial(self) -> socket.socket:
        """Connect to the server by each of its addresses in turn; start with the one that accepted last."""
        refused: OSError | None = None
        for place in list(self._addresses):
            family, address = place
            server = socket.socket(family, socket.SOCK_STREAM)
            try:
                _prepare(server)
                await asyncio.get_running_loop().sock_connect(server, address)
            except OSError as error:
                server.close()
                refused = error
            except BaseException:
                server.close()
                raise
            else:
                self._addresses.sort(key=lambda each: each != place)
                return server
        assert refused is not None
        raise refused

    async def _cancel(self, links: list[Link]) -> None:
        tasks = [self._links[link] for link in links]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _take_request(self) -> None:
        try:
            number, command, arguments = self._lab.recv()
        except (EOFError, OSError):
            self._ended.set()
            return
        task = asyncio.create_task(self._answer(number, command, arguments))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, number: int, command: str, arguments: tuple[object, ...]) -> None:
        answer: object
        try:
            answer = await getattr(self, command)(*arguments)
        except Exception as error:  # noqa: BLE001 - the lab raises it
            answer = error
        try:
            self._lab.send((number, answer))
        except OSError:
            self._ended.set()


def _prepare(side: socket.socket) -> None:
    side.setblocking(False)
    side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    side.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER_BYTES)


async def _happens(event: asyncio.Event, timeout_s: float) -> bool:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(event.wait(), timeout_s)
    return event.is_set()
