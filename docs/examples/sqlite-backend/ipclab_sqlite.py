"""A backend for ipclab: an SQLite file as a queue between the processes of one host."""

import shutil
import sqlite3
import tempfile
import time

from ipclab.backends.base import Channel, Consumer, Guarantees, Producer

CREATE = "PRAGMA journal_mode=WAL; CREATE TABLE messages (id INTEGER PRIMARY KEY, body BLOB)"
TAKE = "DELETE FROM messages WHERE id = (SELECT min(id) FROM messages) RETURNING body"


class Connected:
    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    def close(self) -> None:
        self.db.close()


class SqliteProducer(Connected, Producer):
    def send(self, body: bytes) -> None:
        self.db.execute("INSERT INTO messages (body) VALUES (?)", (body,))


class SqliteConsumer(Connected, Consumer):
    def receive(self) -> list[bytes]:
        while not (rows := self.db.execute(TAKE).fetchall()):
            time.sleep(0.0005)
        return [body for (body,) in rows]


class SqliteChannel(Channel):
    name, folder = "my-sqlite", ""
    summary = "an SQLite file as a queue: INSERT, and DELETE … RETURNING; consumers poll"
    guarantees = Guarantees(
        delivery="at-most-once", may_lose=frozenset({"consumer crash"}), order="per-producer",
        durability="disk", confirm="broker", reach="host", max_message_bytes=900_000_000, polling=True,
    )  # fmt: skip

    def setup(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="ipclab-sqlite-")
        self.connect().executescript(CREATE).connection.close()

    def connect(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.folder}/queue", timeout=30, isolation_level=None)

    def producer(self, index: int) -> Producer:
        return SqliteProducer(self.connect())

    def consumer(self, index: int) -> Consumer:
        return SqliteConsumer(self.connect())

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
