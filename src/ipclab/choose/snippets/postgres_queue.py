"""Jobs in a table of PostgreSQL: a worker deletes one that no other holds, and commits when it is done.

If a worker dies, the server rolls back, and another worker gets the job. So a job may be done twice. With
``SYNCHRONOUS_COMMIT = "off"`` a crash of the server may lose jobs that it has confirmed.
"""

import itertools
import os

import psycopg

URL = os.environ.get("POSTGRES_URL", "postgresql://localhost/postgres")
SYNCHRONOUS_COMMIT = "on"
LOOK_AGAIN_S = 0.5  # a job whose worker died is free again without a notification
TAKE = """DELETE FROM jobs WHERE id = (SELECT id FROM jobs ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED)
          RETURNING job"""


def work(job: bytes) -> None:
    """Do one job: put your own code here. It must not matter if a job is done twice."""


def connect() -> psycopg.Connection:
    """Connect, and make the table unless there is one."""
    link = psycopg.connect(URL, autocommit=True, options=f"-c synchronous_commit={SYNCHRONOUS_COMMIT}")
    link.execute("CREATE TABLE IF NOT EXISTS jobs (id bigserial PRIMARY KEY, job bytea NOT NULL)")
    return link


def send(jobs: list[bytes]) -> None:
    """Send jobs; the server has each of them when this returns."""
    with connect() as link:
        for job in jobs:
            with link.transaction():
                link.execute("INSERT INTO jobs (job) VALUES (%s)", (job,))
                link.execute("NOTIFY jobs")


def worker(many: int | None = None) -> None:
    """Do jobs for ever, or this many."""
    with connect() as link:
        link.execute("LISTEN jobs")
        for _ in itertools.count() if many is None else range(many):
            while not do_one(link):
                for _ in link.notifies(timeout=LOOK_AGAIN_S, stop_after=1):
                    pass


def do_one(link: psycopg.Connection) -> bool:
    """Do one job, if there is one; the end of the transaction acknowledges it."""
    with link.transaction():
        row = link.execute(TAKE).fetchone()
        if row is not None:
            work(bytes(row[0]))
    return row is not None


if __name__ == "__main__":
    send([b"first job", b"second job"])
    worker(2)
