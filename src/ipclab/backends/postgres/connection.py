"""How every PostgreSQL adapter talks to its server: connections of the worker, and no retries.

psycopg is imported on the first connection, so that listing the backends does not load it.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, LiteralString
from urllib.parse import urlsplit

from ipclab.errors import BrokerUnavailableError

if TYPE_CHECKING:
    from psycopg import Connection, sql

PORT = 5432
"""The port of a PostgreSQL whose URL names none."""
CONNECT_TIMEOUT_S = 5
LOCK_TIMEOUT_S = 10
"""How long ``setup()`` and ``teardown()`` wait for a lock that a client of a trial may still hold."""

Row = tuple[Any, ...]


def connect(url: str, **settings: str) -> Connection[Row]:
    """Return a new connection in autocommit mode, with these settings of its session.

    Each statement is prepared when it is first used, as a program that repeats statements does. A call has no
    time limit of its own. Not thread-safe, not usable after a fork. Raise BrokerUnavailableError where the
    server cannot be reached or refuses the login.
    """
    import psycopg

    # psycopg logs what it does when a worker is told to end within a call; the trial reports that itself.
    logging.getLogger("psycopg").addHandler(logging.NullHandler())
    options = " ".join(f"-c {name}={value}" for name, value in settings.items())
    try:
        link = psycopg.connect(url, autocommit=True, connect_timeout=CONNECT_TIMEOUT_S, options=options)
    except psycopg.Error as error:
        raise unavailable(url, error) from error
    link.prepare_threshold = 0
    return link


def unavailable(url: str, error: BaseException) -> BrokerUnavailableError:
    """Return the error for the user where the server at ``url`` failed with ``error``."""
    where = urlsplit(url)
    reason = " ".join(str(error).split()) or type(error).__name__
    return BrokerUnavailableError(
        f"no PostgreSQL to work with at {where.hostname or 'localhost'}:{where.port or PORT}: {reason}"
    )


def statement(text: LiteralString, **names: str) -> sql.Composed:
    """Return an SQL statement in which each ``{name}`` is a quoted identifier."""
    from psycopg import sql

    quoted = {name: sql.Identifier(value) for name, value in names.items()}
    return sql.SQL(text).format(**quoted)


def run_once(url: str, *statements: sql.Composed) -> None:
    """Execute these statements in one transaction on a connection of their own.

    Raise psycopg.Error, also where another client holds a lock for ``LOCK_TIMEOUT_S``.
    """
    with connect(url, lock_timeout=f"{LOCK_TIMEOUT_S}s") as link, link.transaction():
        for one in statements:
            link.execute(one)


def lacking(url: str, what: str) -> str:
    """Return in one line which permission this user lacks for ``what``; empty where it has it.

    Raise BrokerUnavailableError where the server cannot be reached.
    """
    with connect(url) as link:
        row = link.execute(
            "SELECT current_schema(), has_schema_privilege(current_schema(), 'CREATE')"
        ).fetchone()
    if row is not None and row[1]:
        return ""
    schema = row[0] if row is not None and row[0] else "public"
    return f"the user of this PostgreSQL may not create tables in the schema {schema}, which {what} needs"
