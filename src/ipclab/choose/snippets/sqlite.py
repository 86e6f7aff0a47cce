"""Jobs in an SQLite file: INSERT and DELETE … RETURNING. A job that a worker has taken is lost if it dies."""

import itertools
import sqlite3
import time

FILE = "jobs.sqlite"
SYNCHRONOUS = "full"
TAKE = "DELETE FROM jobs WHERE id = (SELECT min(id) FROM jobs) RETURNING body"
PAUSE_S = 0.001


def work(job: bytes) -> None:
    """Do one job: put your own code here."""


def connect() -> sqlite3.Connection:
    """Return a connection of this process, in which each statement is a transaction of its own."""
    database = sqlite3.connect(FILE, timeout=30, isolation_level=None)
    database.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, body BLOB)")
    return database


def send(jobs: list[bytes]) -> None:
    """Send jobs; each of them is in the file when this returns."""
    database = connect()
    for job in jobs:
        database.execute("INSERT INTO jobs (body) VALUES (?)", (job,))
    database.close()


def worker(many: int | None = None) -> None:
    """Do jobs for ever, or this many."""
    database = connect()
    for _ in itertools.count() if many is None else range(many):
        while not (rows := database.execute(TAKE).fetchall()):
            time.sleep(PAUSE_S)
        work(rows[0][0])
    database.close()


if __name__ == "__main__":
    send([b"first job", b"second job"])
    worker(2)
