"""A call of redis-py that looks like a transaction and is only a batch: MULTI without WATCH."""

from __future__ import annotations

from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from ipclab.history.log import ProcessLog
from ipclab.trial.client.bench import OTHER, PROGRAM, Bench
from ipclab.trial.client.redis_parts import delete, program_client, read_counter
from ipclab.trial.client.scenario import Seen, pair
from ipclab.trial.client.words import count


def _two_programs(parent: Connection, logs: tuple[Path, Path], url: str, key: str, right: bool) -> int:
    """Run two programs in one process, in a fixed interleaving: both read, then both write.

    Return how many transactions were refused.
    """
    from redis import WatchError

    refused = 0
    with ProcessLog(logs[0], PROGRAM) as one, ProcessLog(logs[1], OTHER) as two:
        programs = [(history, program_client(url, retries=False).pipeline()) for history in (one, two)]
        values = []
        for history, transaction in programs:
            history.invoke("add", 1)
            values.append(_begin(transaction, key, right))
        for (history, transaction), value in zip(programs, values, strict=True):
            while True:
                transaction.set(key, value + 1)
                try:
                    transaction.execute()
                except WatchError:
                    refused += 1
                    value = _begin(transaction, key, right)
                else:
                    break
            history.ok()
    return refused


def _begin(transaction: Any, key: str, right: bool) -> int:
    """Read the counter and begin to collect commands; only WATCH makes a transaction of them."""
    if right:
        transaction.watch(key)
    value = int(transaction.immediate_execute_command("GET", key) or 0)
    if right:
        transaction.multi()
    return value


def _increments(bench: Bench, *, right: bool) -> Seen:
    key = bench.name("counter")
    bench.at_end(delete, bench.url, key)
    logs = bench.log(PROGRAM), bench.log(OTHER)
    refused = bench.start("programs", _two_programs, logs, bench.url, key, right).result()
    value = read_counter(bench, key)
    again = f", {count(refused, 'of them was', 'of them were')} refused and done again" if refused else ""
    finding = f"two increments in transactions{again}, both confirmed, the counter reads {value}"
    return Seen(finding=finding, counts={"refused": refused, "value": value})


SCENARIOS = pair(
    "transaction",
    _increments,
    backend="redis",
    library="redis",
    model="counter",
    asked="two programs read a counter, and each sets it to one more in pipeline(transaction=True)",
    says="both done",
    has="1: MULTI and EXEC do not see what was read before",
    default="get(), then pipeline(): MULTI, SET, EXEC",
    right="pipeline.watch(key) before it is read, and again on WatchError",
)
