"""A table as a queue: SELECT … FOR UPDATE SKIP LOCKED, with NOTIFY to wake a waiting consumer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ipclab.backends.base import Channel, Consumer, Guarantees, Option, Producer
from ipclab.backends.postgres.connection import Row, connect, lacking, run_once, statement

if TYPE_CHECKING:
    from psycopg import Connection

LOOK_AGAIN_S = 0.5
"""How long a consumer waits for a notification before it looks again: a message that a dead consumer had is
free again without one."""

MAX_BYTES = 512 * 1024 * 1024
"""Half of what a field can hold; beyond that a client that reads it as text would fail."""

_CREATE = "CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, body bytea NOT NULL)"
_DROP = "DROP TABLE IF EXISTS {table}"
# One statement, so that one round trip inserts, notifies and commits.
_PUT = "WITH put AS (INSERT INTO {table} (body) VALUES (%b) RETURNING 1) SELECT pg_notify(%s, '') FROM put"
_PUT_ALL = (
    "WITH put AS (INSERT INTO {table} (body)"
    " SELECT body FROM unnest(%b::bytea[]) WITH ORDINALITY AS given (body, place) ORDER BY place"
    " RETURNING 1) SELECT pg_notify(%s, '') FROM put LIMIT 1"
)
_TAKE = (
    "DELETE FROM {table} WHERE id = ANY (ARRAY("
    "SELECT id FROM {table} ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED)) RETURNING id, body"
)


class _Sender(Producer):
    """Inserts one message per transaction."""

    def __init__(self, link: Connection[Row], table: str) -> None:
        self._cursor = link.cursor(binary=True)
        self._link = link
        self._put = statement(_PUT, table=table)
        self._topic = table

    def send(self, body: bytes) -> None:
        self._cursor.execute(self._put, (body, self._topic))

    def close(self) -> None:
        self._link.close()


class _WindowSender(_Sender):
    """Inserts all messages since the last ``flush()`` with one statement."""

    def __init__(self, link: Connection[Row], table: str) -> None:
        super().__init__(link, table)
        self._put = statement(_PUT_ALL, table=table)
        self._waiting: list[bytes] = []

    def send(self, body: bytes) -> None:
        self._waiting.append(body)

    def flush(self) -> None:
        # Emptied first: a message is never sent twice, whatever the answer is.
        bodies, self._waiting = self._waiting, []
        if bodies:
            self._cursor.execute(self._put, (bodies, self._topic))

    def close(self) -> None:
        try:
            self.flush()
        finally:
            super().close()


class _Taker(Consumer):
    """Deletes messages in a transaction that ``ack()`` commits and ``reject()`` rolls back.

    The rows stay locked meanwhile, so others skip them. A consumer that dies closes its connection, and the
    server rolls back. Notifications come over a second connection, because a session gets none within a
    transaction.
    """

    acknowledges = rejects = True

    def __init__(self, url: str, table: str, window: int, synchronous: str) -> None:
        self._link = connect(url, synchronous_commit=synchronous)
        self._link.autocommit = False
        self._cursor = self._link.cursor(binary=True)
        self._take = statement(_TAKE, table=table)
        self._window = (window,)
        self._bell = connect(url)
        self._bell.execute(statement("LISTEN {topic}", topic=table))
        self._holding = False

    def receive(self) -> Sequence[bytes]:
        while not (found := self._cursor.execute(self._take, self._window).fetchall()):
            if not self._holding:
                self._link.rollback()
            for _ in self._bell.notifies(timeout=LOOK_AGAIN_S, stop_after=1):
                pass
        self._holding = True
        found.sort()
        return [row[1] for row in found]

    def ack(self) -> None:
        self._link.commit()
        self._holding = False

    def reject(self) -> None:
        self._link.rollback()
        self._holding = False

    def close(self) -> None:
        self._bell.close()
        self._link.close()


class PostgresQueueChannel(Channel):
    """A table; a producer inserts, a consumer deletes what no other holds, and COMMIT acknowledges.

    ``synchronous_commit=off``: COMMIT returns before the write-ahead log is written, so that a crash of the
    server loses the last transactions, confirmed messages among them. A shutdown in good order loses none.
    """

    name = "postgres-queue"
    summary = "a table in PostgreSQL: FOR UPDATE SKIP LOCKED, NOTIFY, COMMIT to acknowledge"
    broker = "postgres"
    windowed = True
    options = (
        Option(
            "synchronous_commit",
            "on",
            "whether COMMIT waits until the server has written its log to disk",
            choices=("on", "off"),
        ),
    )

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-least-once",
            may_lose=frozenset() if self._synchronous == "on" else frozenset({"broker crash"}),
            order="per-producer",
            durability="disk",
            confirm="broker",
            reach="network",
            max_message_bytes=MAX_BYTES,
        )

    @property
    def _synchronous(self) -> str:
        return str(self.chosen["synchronous_commit"])

    @property
    def table(self) -> str:
        """Return the name of the table, which is also that of the topic of its notifications."""
        return f"{self.site.namespace}:messages"

    @property
    def redelivers_after_s(self) -> float:
        return LOOK_AGAIN_S

    def lacks(self) -> str:
        return lacking(self.site.broker_url, self.name)

    def setup(self) -> None:
        run_once(self.site.broker_url, statement(_CREATE, table=self.table))

    def teardown(self) -> None:
        run_once(self.site.broker_url, statement(_DROP, table=self.table))

    def producer(self, index: int) -> Producer:
        link = connect(self.site.broker_url, synchronous_commit=self._synchronous)
        return (_Sender if self.site.window == 1 else _WindowSender)(link, self.table)

    def consumer(self, index: int) -> Consumer:
        return _Taker(self.site.broker_url, self.table, self.site.window, self._synchronous)
