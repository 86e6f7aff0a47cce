"""A counter in a row of PostgreSQL, under each discipline that its users practise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from ipclab.backends.base import Counter, CounterClient, Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.postgres.connection import Row, connect, lacking, run_once, statement
from ipclab.errors import ChannelError

if TYPE_CHECKING:
    from psycopg import Connection

_ISOLATION = {"repeatable-read": "repeatable read", "serializable": "serializable"}
"""The level of isolation of those disciplines that repeat a transaction; that of others is READ COMMITTED."""


class PostgresCounter(Counter):
    """One row, incremented as ``discipline`` says.

    ``read-write``      SELECT, then UPDATE with the new number, at READ COMMITTED, the level that PostgreSQL
                        uses unless it is told otherwise. It loses increments.
    ``repeatable-read``, ``serializable``  the same at this level, repeated from the start when the server
                        reports a serialization failure.
    ``for-update``      SELECT … FOR UPDATE, then UPDATE.
    ``advisory-lock``   the same as ``read-write``, after ``pg_advisory_xact_lock()``.
    ``update``          UPDATE … SET value = value + 1, one statement.
    """

    name = "postgres"
    summary = "a row in PostgreSQL"
    broker = "postgres"
    options = (
        Option(
            "discipline",
            "update",
            "how a client increments",
            choices=(
                "read-write",
                "repeatable-read",
                "serializable",
                "for-update",
                "advisory-lock",
                "update",
            ),
        ),
    )

    def lacks(self) -> str:
        return lacking(self.site.broker_url, self.name)

    @property
    def safe(self) -> bool:
        return self.discipline != "read-write"

    @property
    def reach(self) -> Literal["process tree", "host", "network"]:
        return "network"

    @property
    def table(self) -> str:
        """Return the name of the table, which has one row."""
        return f"{self.site.namespace}:counter"

    def setup(self) -> None:
        run_once(
            self.site.broker_url,
            statement("CREATE TABLE {table} (value bigint NOT NULL)", table=self.table),
            statement("INSERT INTO {table} VALUES (0)", table=self.table),
        )

    def teardown(self) -> None:
        run_once(self.site.broker_url, statement("DROP TABLE IF EXISTS {table}", table=self.table))

    def client(self, index: int) -> CounterClient:
        return self._connected()

    def held_client(self, index: int, pause: Pause) -> CounterClient | None:
        if self.discipline == "update":
            return None
        client = self._connected()
        client.row = hold(client.row, pause, "get")
        return client

    def _connected(self) -> _Client:
        level = _ISOLATION.get(self.discipline, "read committed").replace(" ", r"\ ")
        link = connect(self.site.broker_url, default_transaction_isolation=level)
        kind = _CLIENTS.get(self.discipline, _ReadWrite)
        return kind(link, _ROWS.get(self.discipline, _Row)(link, self.table))


class _Row:
    """The row, as a client reads and writes it."""

    look = "SELECT value FROM {table}"

    def __init__(self, link: Connection[Row], table: str) -> None:
        self._cursor = link.cursor(binary=True)
        self._look = statement(self.look, table=table)
        self._set = statement("UPDATE {table} SET value = %s", table=table)
        self._add = statement("UPDATE {table} SET value = value + 1", table=table)
        self._table = table

    def get(self) -> int:
        """Return the number. Raise ChannelError where the row is gone."""
        found = self._cursor.execute(self._look).fetchone()
        if found is None:
            raise ChannelError(f"PostgreSQL no longer has a row in {self._table}")
        return int(found[0])

    def set(self, value: int) -> None:
        """Write the number."""
        self._cursor.execute(self._set, (value,))

    def add(self) -> None:
        """Add one in the server."""
        self._cursor.execute(self._add)


class _LockedRow(_Row):
    look = "SELECT value FROM {table} FOR UPDATE"


class _LockedTableRow(_Row):
    """Takes an advisory lock, whose number is that of the table, before it reads."""

    def __init__(self, link: Connection[Row], table: str) -> None:
        super().__init__(link, table)
        self._lock = statement("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))")

    def get(self) -> int:
        self._cursor.execute(self._lock, (self._table,))
        return super().get()


class _Client(CounterClient):
    """The common part of the disciplines: one connection, one row."""

    def __init__(self, link: Connection[Row], row: _Row) -> None:
        self._link = link
        self.row = row
        self._plain = row

    def read(self) -> int:
        return self._plain.get()

    def close(self) -> None:
        self._link.close()


class _ReadWrite(_Client):
    def increment(self) -> None:
        with self._link.transaction():
            self.row.set(self.row.get() + 1)


class _Repeated(_Client):
    def __init__(self, link: Connection[Row], row: _Row) -> None:
        from psycopg.errors import SerializationFailure

        super().__init__(link, row)
        self._conflict = SerializationFailure

    def increment(self) -> None:
        while True:
            try:
                with self._link.transaction():
                    self.row.set(self.row.get() + 1)
            except self._conflict:
                continue
            return


class _Update(_Client):
    def increment(self) -> None:
        self.row.add()


_CLIENTS: dict[str, type[_Client]] = {
    "repeatable-read": _Repeated,
    "serializable": _Repeated,
    "update": _Update,
}
_ROWS: dict[str, type[_Row]] = {"for-update": _LockedRow, "advisory-lock": _LockedTableRow}
