"""What the scenarios of redis-py have in common: the client, and a look at what the server has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipclab.backends.redis.client import connect, make
from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import Bench

DEFAULT = "redis.Redis(host, port)"
NO_RETRY = "retry=Retry(NoBackoff(), 0)"


def program_client(url: str, *, retries: bool, **settings: Any) -> Any:
    """Return redis-py's client as it comes, or with its retries off, for the whole of this URL."""
    return make(url, retries=retries, **settings)


def told(history: ProcessLog, call: Callable[[], object]) -> str:
    """Call, log whether the program was given an answer or an error, and say which."""
    from redis import RedisError

    try:
        answer = call()
    except RedisError as error:
        history.info()
        return f"raised {type(error).__name__}"
    history.ok()
    return f"returned {answer}"


def read_counter(bench: Bench, key: str) -> int:
    """Return what the server has, logged."""
    with bench.server() as history, connect(bench.url) as client:
        history.invoke("read")
        value: Any = client.get(key)
        history.ok(int(value or 0))
    return int(value or 0)


def drain(bench: Bench, key: str) -> int:
    """Receive all that is left in a list, logged; how many."""
    count = 0
    with bench.server() as history, connect(bench.url) as client:
        while True:
            history.invoke("receive")
            body: Any = client.lpop(key)
            history.ok(None if body is None else int(body))
            if body is None:
                return count
            count += 1


def carried_out(bench: Bench, *commands: str) -> int | None:
    """Return how often the server has carried out any of these so far.

    None where the broker is not ours: others may use it too.
    """
    if bench.broker is None or not bench.broker.ours:
        return None
    with connect(bench.url) as client:
        stats: Any = client.info("commandstats")
    return sum(int(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"]) for name in commands)


def delete(url: str, *keys: str) -> None:
    """Delete what a scenario made."""
    with connect(url) as client:
        client.delete(*keys)
