"""Asks a PostgreSQL with its real client what it is and has, and removes what trials left on it."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from typing import Any

from ipclab.backends.postgres.connection import statement
from ipclab.brokers.base import mask
from ipclab.brokers.kinds.base import PROBE_TIMEOUT_S, LoginRefusedError, one_line
from ipclab.brokers.kinds.state import ServerState
from ipclab.errors import BrokerUnavailableError

_SETTINGS = (
    "fsync",
    "full_page_writes",
    "synchronous_commit",
    "default_transaction_isolation",
    "max_connections",
    "shared_buffers",
    "wal_level",
)
_TABLES = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace(current_schema())"
)
_FREE = (
    "SELECT current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " - count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"
)
_REFUSALS = ("password", "authentication", "role", "pg_hba", "permission denied for database")


@contextlib.contextmanager
def client(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> Iterator[Any]:
    """Yield a connection whose statements take at most ``timeout_s`` each.

    Raise BrokerUnavailableError where the server does not answer, LoginRefusedError where it refuses the
    login. libpq waits at least two seconds for a connection.
    """
    import psycopg

    where = f"PostgreSQL at {mask(url)}"
    limit = f"-c statement_timeout={math.ceil(timeout_s * 1000)}"
    try:
        with psycopg.connect(
            url, autocommit=True, connect_timeout=max(math.ceil(timeout_s), 2), options=limit
        ) as link:
            yield link
    except psycopg.Error as error:
        reason = one_line(error)
        if isinstance(error, psycopg.OperationalError) and any(word in reason for word in _REFUSALS):
            raise LoginRefusedError(f"{where} refuses the login: {reason}") from None
        raise BrokerUnavailableError(f"{where} does not answer: {reason}") from None


def version(url: str, timeout_s: float) -> str:
    """Return the version of the server, such as 15.14."""
    with client(url, timeout_s) as link:
        return str(link.execute("SHOW server_version").fetchone()[0]).split()[0]


def describe(url: str) -> ServerState:
    """Return the settings that matter to a trial, and why no run can use the server."""
    with client(url) as link:
        settings = dict(
            link.execute(
                "SELECT name, current_setting(name) FROM pg_settings WHERE name = ANY(%s)", [[*_SETTINGS]]
            ).fetchall()
        )
        standby = link.execute("SELECT pg_is_in_recovery()").fetchone()[0]
        free = link.execute(_FREE).fetchone()[0]
    unusable = "is a standby, which takes no writes: give the address of its primary" if standby else ""
    return ServerState(settings=settings, unusable=unusable, free_connections=int(free))


def names(url: str) -> set[str]:
    """Return the names of all tables where the lab makes its own."""
    with client(url) as link:
        return {str(row[0]) for row in link.execute(_TABLES).fetchall()}


def remove(url: str, namespaces: Sequence[str]) -> int:
    """Drop all tables under these namespaces; return how many there were."""
    begins = tuple(f"{namespace}:" for namespace in namespaces)
    left = [name for name in names(url) if name.startswith(begins)]
    with client(url, 60.0) as link:
        for name in left:
            link.execute(statement("DROP TABLE IF EXISTS {table}", table=name))
    return len(left)
