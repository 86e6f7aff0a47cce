"""A fault of redis-py: an exhausted connection pool raises instead of waiting."""

from __future__ import annotations

import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.backends.redis.client import connect
from ipclab.history.log import ProcessLog
from ipclab.host.text import line_of
from ipclab.trial.client.bench import PROGRAM, Bench
from ipclab.trial.client.child import PATIENCE_S, say
from ipclab.trial.client.redis_parts import delete, read_counter
from ipclab.trial.client.scenario import Seen, pair


def _count_beside(parent: Connection, log: Path, url: str, list_key: str, key: str, right: bool) -> str:
    """Increment while another thread waits for a message over the only connection."""
    import redis

    kind = redis.BlockingConnectionPool if right else redis.ConnectionPool
    settings: dict[str, Any] = {"max_connections": 1, "client_name": list_key}
    settings |= {"timeout": PATIENCE_S} if right else {}
    client = redis.Redis(connection_pool=kind.from_url(url, **settings))
    waiting = threading.Thread(target=lambda: client.blpop([list_key], int(PATIENCE_S)), daemon=True)
    waiting.start()
    say(parent, "waits")
    parent.recv()
    with ProcessLog(log, PROGRAM) as history:
        history.invoke("add", 1)
        try:
            client.incr(key)
        except redis.ConnectionError as error:
            history.fail()
            return f"raised {line_of(error)}"
        history.ok()
    return "returned"


def _used_up(bench: Bench, *, right: bool) -> Seen:
    key, list_key = bench.name("counter"), bench.name("list")
    bench.at_end(delete, bench.url, key, list_key)
    with connect(bench.url) as client:
        program = bench.start("program", _count_beside, bench.log(PROGRAM), bench.url, list_key, key, right)
        program.heard()
        bench.until(lambda: _waits(client, list_key), "a thread to wait")
        program.tell("go")
        # It has an answer, or waits for the connection.
        program.stands()
        client.rpush(list_key, "message")
        words = program.result()
    value = read_counter(bench, key)
    finding = f"while a thread waited over the only connection, one incr() {words}; the counter reads {value}"
    return Seen(finding=finding, counts={"value": value}, errs=not value)


def _waits(client: Any, name: str) -> bool:
    """Return whether the connection of this name waits in the server."""
    return any(one["name"] == name and "b" in one["flags"] for one in client.client_list())


SCENARIOS = pair(
    "connections-used-up",
    _used_up,
    backend="redis",
    library="redis",
    model="counter",
    asked="an incr() while another thread waits for a message, of a client with max_connections=1",
    says="ConnectionError, or MaxConnectionsError",
    has="received no request",
    default="redis.Redis(max_connections=1)",
    right="redis.BlockingConnectionPool(max_connections=1, timeout=…)",
)
