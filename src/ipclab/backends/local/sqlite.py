"""``sqlite``: an SQLite file as a queue between the processes of one host, on the client of Python.

``INSERT`` sends, ``DELETE … RETURNING`` takes the oldest message; each is a transaction of its own. SQLite
cannot wait for a row, so consumers poll.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from multiprocessing.util import get_temp_dir

from ipclab.backends.base import Channel, Consumer, Guarantees, Option, Producer
from ipclab.errors import UsageError

_CREATE = "PRAGMA journal_mode=WAL; CREATE TABLE messages (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB)"
_SEND = "INSERT INTO messages (body) VALUES (?)"
_ANY = "SELECT 1 FROM messages LIMIT 1"
_TAKE = "DELETE FROM messages WHERE id = (SELECT min(id) FROM messages) RETURNING body"
_WAIT_S = 30.0
"""How long a client waits for the lock of another one."""
_SHORTEST_S = 50e-6
_LONGEST_S = 1.6e-3
_RETURNING = (3, 35, 0)
"""The first version of SQLite with ``RETURNING``."""
LARGEST_BYTES = 900_000_000


class SqliteProducer(Producer):
    """Inserts one row for each message, and commits it."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def send(self, body: bytes) -> None:
        self._database.execute(_SEND, (body,))

    def close(self) -> None:
        self._database.close()


class SqliteConsumer(Consumer):
    """Takes the oldest row; polls while there is none."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def receive(self) -> Sequence[bytes]:
        return (self._receive_one(),)

    def receiver(self) -> Callable[[], bytes]:
        return self._receive_one

    def _receive_one(self) -> bytes:
        execute = self._database.execute
        pause_s = _SHORTEST_S
        while True:
            # A look takes no lock. A DELETE takes the one for writers even where there is nothing to delete,
            # and would keep producers out.
            if execute(_ANY).fetchone() and (rows := execute(_TAKE).fetchall()):
                body: bytes = rows[0][0]
                return body
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, _LONGEST_S)

    def close(self) -> None:
        self._database.close()


class SqliteChannel(Channel):
    """A table in a file of its own. The option ``synchronous`` is SQLite's setting of that name."""

    name = "sqlite"
    summary = "an SQLite file as a queue: INSERT, and DELETE … RETURNING; consumers poll"
    options = (
        Option(
            "synchronous",
            "full",
            "full: each commit is fsynced; off: it is left to the system",
            ("full", "off"),
        ),
    )
    _folder = ""

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-most-once",
            may_lose=frozenset({"consumer crash"}),
            order="per-producer",
            durability="disk",
            confirm="broker",
            reach="host",
            max_message_bytes=LARGEST_BYTES,
            polling=True,
        )

    def setup(self) -> None:
        """Make the file. Raise UsageError where SQLite is too old."""
        if sqlite3.sqlite_version_info < _RETURNING:
            raise UsageError(f"{self.name} needs SQLite 3.35, and this Python has {sqlite3.sqlite_version}")
        self._folder = tempfile.mkdtemp(prefix="sqlite-", dir=get_temp_dir())
        with contextlib.closing(self._connect()) as database:
            database.executescript(_CREATE)

    def _connect(self) -> sqlite3.Connection:
        database = sqlite3.connect(os.path.join(self._folder, "queue"), timeout=_WAIT_S, isolation_level=None)
        database.execute(f"PRAGMA synchronous={self.chosen['synchronous']}")
        return database

    def producer(self, index: int) -> Producer:
        return SqliteProducer(self._connect())

    def consumer(self, index: int) -> Consumer:
        return SqliteConsumer(self._connect())

    def teardown(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)
