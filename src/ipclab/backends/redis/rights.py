"""Finds out whether a Redis server would execute a command for this user, without executing it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ipclab.backends.redis.client import bound, make, unavailable
from ipclab.host.bounded_socket import Bounds

if TYPE_CHECKING:
    from redis import Redis

Command = Sequence[str]


ASKED = Bounds(most_bytes=1 << 20, within_s=10.0)
"""What a server may send, and how long it may take, when it is asked what a user may do."""
KEY = "ipclab:probe"
LIST: tuple[Command, ...] = (("RPUSH", KEY, "b"), ("BLPOP", KEY, "1"), ("UNLINK", KEY))
RELIABLE: tuple[Command, ...] = (
    ("RPUSH", KEY, "b"),
    ("BLMOVE", KEY, KEY, "LEFT", "RIGHT", "1"),
    ("LMOVE", KEY, KEY, "LEFT", "RIGHT"),
    ("LREM", KEY, "1", "b"),
    ("UNLINK", KEY),
)
STREAM: tuple[Command, ...] = (
    ("XADD", KEY, "*", "b", "b"),
    ("XGROUP", "CREATE", KEY, "group", "0"),
    ("XREADGROUP", "GROUP", "group", "me", "STREAMS", KEY, ">"),
    ("XAUTOCLAIM", KEY, "group", "me", "1000", "0-0"),
    ("XACK", KEY, "group", "0-1"),
    ("XDEL", KEY, "0-1"),
    ("UNLINK", KEY),
)
PUBSUB: tuple[Command, ...] = (("PUBLISH", KEY, "b"), ("SUBSCRIBE", KEY))
SHARED: tuple[Command, ...] = (("GET", KEY), ("SET", KEY, "0"), ("DEL", KEY))
SCRIPT: tuple[Command, ...] = (("EVALSHA", "0" * 40, "1", KEY), ("SCRIPT", "LOAD", "return 1"))
BY_DISCIPLINE: Mapping[str, tuple[Command, ...]] = {
    "watch": (("WATCH", KEY),),
    "incr": (("INCR", KEY),),
    "lua": SCRIPT,
    "lock": SCRIPT,
    "set-nx": SCRIPT,
    "fenced": SCRIPT,
}
"""The commands that a discipline needs in addition to ``SHARED``."""


def refusals(client: Redis, commands: Iterable[Command]) -> dict[str, str]:
    """Return the commands that the server refuses, by name, each with the server's words; empty for none.

    The commands are queued within MULTI and then discarded: a server checks permission, memory and role
    when it queues a command, and nothing is changed. For a user who may not use MULTI, the result is empty.
    """
    import redis

    pool = client.connection_pool
    connection: Any = client.connection or pool.get_connection()
    found: dict[str, str] = {}

    def ask(*words: str) -> str:
        connection.send_command(*words)
        try:
            connection.read_response()
        except redis.ResponseError as error:
            return (
                str(error) if not isinstance(error, redis.exceptions.NoPermissionError) else f"NOPERM {error}"
            )
        return ""

    try:
        if ask("MULTI"):
            return {}
        for command in commands:
            if text := ask(*command):
                found[command[0]] = _with_code(text)
        ask("DISCARD")
    finally:
        if client.connection is None:
            pool.release(connection)
    return found


def lacking(url: str, what: str, commands: Iterable[Command]) -> str:
    """Return in one line which permissions this user lacks for ``what``; empty where it has them all.

    Raise BrokerUnavailableError where the server cannot be reached.
    """
    import redis

    within_s = ASKED.within_s
    client = make(url, retries=False, protocol=2, socket_timeout=within_s, socket_connect_timeout=within_s)
    bound(client, ASKED)
    try:
        with client:
            found = refusals(client, commands)
    except (redis.RedisError, OSError) as error:
        raise unavailable(url, error) from error
    names = [name for name, text in found.items() if text.startswith("NOPERM")]
    if not names:
        return ""
    missing = ", ".join(names)
    return f"the user of this Redis has no permission for {missing} on keys ipclab:*, which {what} needs"


def lacking_shared(url: str, discipline: str) -> str:
    """Return in one line the permissions that this user lacks for shared state under this discipline."""
    return lacking(url, f"the discipline {discipline}", (*SHARED, *BY_DISCIPLINE.get(discipline, ())))


def _with_code(text: str) -> str:
    """Return the error with its code, which redis-py removes from some answers and not from others."""
    if "not allowed when used memory" in text and not text.startswith("OOM"):
        return f"OOM {text}"
    if "read only replica" in text and not text.startswith("READONLY"):
        return f"READONLY {text}"
    return text
