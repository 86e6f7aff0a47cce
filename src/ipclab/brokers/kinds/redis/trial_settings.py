"""Settings of a Redis for one trial, such as its append-only file: in force, kept over a crash, undone.

They are in force at once (``CONFIG SET``), and in a file that the server reads when it starts, because a
server that is told to keep its data and forgets to after a crash would keep nothing. The file is one of the
lab's own: what ``CONFIG REWRITE`` writes would hold the modules of an image too, which its entry point then
loads a second time, and the server refuses to start.
"""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ipclab.backends.base import Guarantees
from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.redis import probe
from ipclab.errors import BrokerUnavailableError, UnknownNameError, UsageError
from ipclab.host.interruptions import ending_blocked

SETTINGS_FILE = "ipclab-settings.conf"
"""In the data folder of a Redis: what it is set to for a trial, kept when it is killed and started again."""
SETTINGS: Mapping[str, str] = {
    "appendonly": "no",
    "appendfsync": "everysec",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
}
"""What can be set, and what it is where nobody has."""
_REWRITTEN_WITHIN_S = 60.0
_POLL_S = 0.01
# What can stand in a configuration file as it is.
_PLAIN = re.compile(r"[A-Za-z0-9-]+")


@contextlib.contextmanager
def applied(broker: Broker, settings: Mapping[str, str]) -> Iterator[None]:
    """Set a server to this within the block, and afterwards to what it was before.

    It stays so when the server is killed or shut down, and started again, within the block; one that is down
    at the end is started. An append-only file is complete when the block begins, and deleted afterwards where
    there was none before. Keys are left alone.

    Raises UsageError for a value that the server refuses, BrokerUnavailableError where the server does not
    answer. Not for two blocks at a time on one server.
    """
    before = _read(broker)
    try:
        _set(broker, settings)
        _write_file(broker, before["dir"], settings)
        yield
    finally:
        with ending_blocked():
            broker.revive()
            _set(broker, {name: before[name] for name in settings})
            _write_file(broker, before["dir"], {})
            if before["appendonly"] == "no" and settings.get("appendonly") == "yes":
                # Redis 7 keeps a folder, and earlier ones a file.
                name = before.get("appenddirname") or before["appendfilename"]
                broker.execute("rm", "-rf", f"{before['dir']}/{name}")


def changed(broker: Broker) -> str:
    """Return what this server is set to that it was not started with, ``appendonly=yes``; empty for nothing.

    Raises BrokerUnavailableError where it does not answer.
    """
    found = _read(broker)
    return ", ".join(f"{name}={found[name]}" for name, usual in SETTINGS.items() if found[name] != usual)


def check(settings: Mapping[str, str]) -> None:
    """Raise UnknownNameError for a setting that is not in ``SETTINGS``, UsageError for a malformed value."""
    for setting, value in settings.items():
        if setting not in SETTINGS:
            raise UnknownNameError("setting of Redis", setting, SETTINGS)
        if not _PLAIN.fullmatch(value):
            raise UsageError(f"{setting} of Redis cannot be {value!r}")


def under(guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
    """Return what is declared on a Redis with these settings.

    ``appendonly: yes`` writes every command to a file, so that what was confirmed outlives a restart in good
    order. With ``appendfsync: always`` it outlives the end of the process too, which says nothing of the
    disk; with any other a write may come after its answer while an earlier one is being synced. The file
    keeps what the server keeps: nothing of a fan-out, which it keeps for nobody, and of what is delivered at
    most once not what was on its way to a consumer. A ``maxmemory-policy`` that evicts any key drops messages
    when memory is short; the channels' keys have no time to live, so that the policies for such keys evict
    none of them.
    """
    may_lose, durability = set(guarantees.may_lose), guarantees.durability
    if settings.get("appendonly") == "yes" and not guarantees.fan_out:
        durability = "disk"
        if settings.get("appendfsync") == "always" and guarantees.delivery == "at-least-once":
            may_lose.discard("broker crash")
    if settings.get("maxmemory-policy", "noeviction").startswith("allkeys"):
        may_lose.add("overload")
    return replace(guarantees, may_lose=frozenset(may_lose), durability=durability)


def _read(broker: Broker) -> dict[str, str]:
    with probe.client(broker.url) as client:
        found: dict[str, str] = {}
        for name in (*SETTINGS, "dir", "appenddirname", "appendfilename"):
            found |= client.config_get(name)
        return found


def _set(broker: Broker, settings: Mapping[str, str]) -> None:
    import redis

    with probe.client(broker.url) as client:
        for name, value in settings.items():
            try:
                client.config_set(name, value)
            except redis.ResponseError as error:
                raise UsageError(f"Redis refuses {name} {value}: {error}") from None
        if settings.get("appendonly") == "yes":
            _wait_until_rewritten(client)


def _wait_until_rewritten(client: Any) -> None:
    """Until the append-only file holds what was there before it was turned on."""
    deadline = time.monotonic() + _REWRITTEN_WITHIN_S
    while True:
        state = client.info("persistence")
        under_way = state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]
        if not under_way and state["aof_last_bgrewrite_status"] == "ok":
            return
        if time.monotonic() > deadline:
            raise BrokerUnavailableError(
                f"Redis has not written its append-only file within {_REWRITTEN_WITHIN_S:g} s"
            )
        time.sleep(_POLL_S)


def _write_file(broker: Broker, folder: str, settings: Mapping[str, str]) -> None:
    """What the server reads when it starts; emptied rather than deleted, as it may insist on a file."""
    lines = "".join(f"{name} {value}\n" for name, value in settings.items())
    broker.execute("sh", "-c", 'printf %s "$1" > "$0"', f"{folder}/{SETTINGS_FILE}", lines)
