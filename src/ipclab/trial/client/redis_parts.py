"""Shared parts of the scenarios of redis-py: the client, and reads of what the server has."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ipclab.backends.redis.client import connect, make
from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import Bench

DEFAULT = "redis.Redis(host, port)"
NO_RETRY = "retry=Retry(NoBackoff(), 0)"


def program_client(url: str, *, retries: bool, **settings: Any) -> Any:
    """Return redis-py's client for the whole of this URL, with its default retries or with none."""
    return make(url, retries=retries, **settings)


def told(history: ProcessLog, call: Callable[[], object]) -> str:
    """Call, log whether the program got an answer or an error, and return which."""
    from redis import RedisError

    try:
        answer = call()
    except RedisError as error:
        history.info()
        return f"raised {type(error).__name__}"
    history.ok()
    return f"returned {answer}"


def read_counter(bench: Bench, key: str) -> int:
    """Return the counter's value in the server, and log it."""
    with bench.server() as history, connect(bench.url) as client:
        history.invoke("read")
        value: Any = client.get(key)
        history.ok(int(value or 0))
    return int(value or 0)


def drain(bench: Bench, key: str) -> int:
    """Receive and log all messages left in a list; return how many there were."""
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
    """Return how often the server has executed any of these commands so far.

    Return None where the lab did not start the broker: other clients may use it too.
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
