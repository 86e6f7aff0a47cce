"""Channels over the proxies of a multiprocessing Manager: a queue, a list and a dict in a server process.

Every operation is one request to the manager's server and one reply, so a window changes nothing. The server
answers only to this process tree here: proxies travel with the authentication key of the parent.

A list and a dict cannot make a reader wait, so their consumers poll: at once, then after 50 µs, doubling up
to 1.6 ms until there is a message. That wait is part of their latency and of their CPU time.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.managers import DictProxy, ListProxy, SyncManager
from multiprocessing.util import get_temp_dir
from queue import Queue
from typing import Any

from ipclab.backends.base import Channel, Consumer, Guarantees, Producer, Site
from ipclab.exit_codes import ChildExit
from ipclab.host.interruptions import die_with_parent, sigint_blocked

FIRST_WAIT_S = 0.000_05
LONGEST_WAIT_S = 0.001_6
_START_BITS = 48
"""The size of a random number that never occurs twice in practice, and is still quick to pickle."""


def _end_with_parent() -> None:
    """End the server, in which this runs, when its parent is gone: a killed parent cannot ask for that.

    A thread does this on every system. For a server that a fault has stopped, Linux must do it.
    """
    die_with_parent(signal.SIGKILL)
    parent = multiprocessing.parent_process()
    if parent is None:
        return

    def wait_and_leave() -> None:
        parent.join()
        os._exit(ChildExit.DONE)

    threading.Thread(target=wait_and_leave, daemon=True).start()


class ManagerServer:
    """Mixed into a channel or a counter: one manager from ``start_manager()`` to ``teardown()``.

    Only the parent holds the manager itself. The manager is left out when the object is pickled, and the
    proxies that the object keeps as attributes travel. multiprocessing makes the server ignore SIGINT, so on
    Ctrl-C the parent ends the server.
    """

    has_server = True
    _manager: SyncManager | None = None
    _pids: tuple[int, ...] = ()

    def start_manager(self, site: Site) -> SyncManager:
        """Start the server process and return the manager."""
        # The server inherits the folder of its socket, which is deleted with this process: a folder that the
        # server made itself would stay when the server is killed.
        get_temp_dir()
        before = set(multiprocessing.active_children())
        manager = SyncManager(ctx=site.context)
        try:
            # The server ignores Ctrl-C in time only if none reaches it before it reports its start.
            with sigint_blocked():
                manager.start(_end_with_parent)
        except BaseException:
            # Interrupted before the manager knew its server's address, so it could not shut the server down.
            for child in set(multiprocessing.active_children()) - before:
                child.terminate()
                child.join()
            raise
        self._manager = manager
        self._pids = tuple(
            child.pid for child in set(multiprocessing.active_children()) - before if child.pid is not None
        )
        return manager

    def teardown(self) -> None:
        """End the server, if it runs, and everything in it. Safe to call again."""
        manager, self._manager, self._pids = self._manager, None, ()
        if manager is not None:
            manager.shutdown()

    def server_pids(self) -> tuple[int, ...]:
        """Return the pid of the server."""
        return self._pids

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_manager": None}


class _CallProducer(Producer):
    """Sends by one call of a proxy."""

    def __init__(self, call: Callable[[bytes], object]) -> None:
        self._call = call

    def send(self, body: bytes) -> None:
        self._call(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._call


class _BlockingConsumer(Consumer):
    """Waits in the server's ``Queue.get``."""

    def __init__(self, queue: Queue[bytes]) -> None:
        self._get = queue.get

    def receive(self) -> Sequence[bytes]:
        return (self._get(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._get


class _PollingConsumer(Consumer):
    """Polls with ``take`` until there is a message; ``take`` raises LookupError while there is none."""

    def __init__(self, take: Callable[[], bytes]) -> None:
        self._take = take

    def receive(self) -> Sequence[bytes]:
        wait_s = FIRST_WAIT_S
        while True:
            try:
                return (self._take(),)
            except LookupError:
                time.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_WAIT_S)


class ManagerQueueChannel(ManagerServer, Channel):
    """``Manager().Queue()``: a ``queue.Queue`` in the server, whose ``get`` makes the reader wait there.

    A message that the server hands to a reader which has died, even while it waited, is lost.
    """

    name = "manager-queue"
    summary = "Manager().Queue(): a queue in the manager's server process"
    carries_objects = "at once"

    _queue: Queue[bytes]

    @property
    def guarantees(self) -> Guarantees:
        return _guarantees()

    def setup(self) -> None:
        self._queue = self.start_manager(self.site).Queue()

    def producer(self, index: int) -> Producer:
        return _CallProducer(self._queue.put)

    def consumer(self, index: int) -> Consumer:
        return _BlockingConsumer(self._queue)


class ManagerListChannel(ManagerServer, Channel):
    """``Manager().list()``: ``append`` at one end, ``pop(0)`` at the other, which moves all the rest."""

    name = "manager-list"
    summary = "Manager().list(): append and pop(0), polling"
    carries_objects = "at once"

    _list: ListProxy[bytes]

    @property
    def guarantees(self) -> Guarantees:
        return _guarantees(polling=True)

    def setup(self) -> None:
        self._list = self.start_manager(self.site).list()

    def producer(self, index: int) -> Producer:
        return _CallProducer(self._list.append)

    def consumer(self, index: int) -> Consumer:
        messages = self._list
        return _PollingConsumer(lambda: messages.pop(0))


class ManagerDictChannel(ManagerServer, Channel):
    """``Manager().dict()`` as a mailbox: a key for each message, taken out by ``popitem()``.

    ``popitem()`` is one step in the server, so two readers never take the same message. It takes the newest
    message, so an old one waits for as long as new ones arrive faster than they are read.
    """

    name = "manager-dict"
    summary = "Manager().dict() as a mailbox: unique keys and popitem(), newest first, polling"
    carries_objects = "at once"

    _dict: DictProxy[int, bytes]

    @property
    def guarantees(self) -> Guarantees:
        return _guarantees(order="none", polling=True)

    def setup(self) -> None:
        self._dict = self.start_manager(self.site).dict()

    def producer(self, index: int) -> Producer:
        return _DictProducer(self._dict, index, self.site.producers)

    def consumer(self, index: int) -> Consumer:
        mailbox = self._dict
        return _PollingConsumer(lambda: mailbox.popitem()[1])


class _DictProducer(Producer):
    """Sends under every n-th key, of n producers, from a random start: a producer that replaces another must
    not use a key under which a message may still be stored."""

    def __init__(self, mailbox: DictProxy[int, bytes], index: int, producers: int) -> None:
        self._mailbox = mailbox
        self._key = index + producers * secrets.randbits(_START_BITS)
        self._step = producers

    def send(self, body: bytes) -> None:
        self._mailbox[self._key] = body
        self._key += self._step


def _guarantees(**differences: Any) -> Guarantees:
    """Return the common guarantees: the server answers, keeps all in memory, and redelivers nothing."""
    common: dict[str, Any] = {
        "delivery": "at-most-once",
        "may_lose": frozenset(("consumer crash", "broker crash")),
        "order": "per-producer",
        "durability": "none",
        "confirm": "broker",
        "reach": "process tree",
    }
    return Guarantees(**(common | differences))
