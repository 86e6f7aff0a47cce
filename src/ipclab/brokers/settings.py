"""Settings of a server for one trial, such as Redis's append-only file: in force, kept over a crash, undone.

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
from typing import Any

from ipclab.brokers import probe
from ipclab.brokers.base import Broker
from ipclab.brokers.plans import SETTINGS_FILE
from ipclab.errors import BrokerUnavailableError, UnknownNameError, UsageError
from ipclab.host.interruptions import ending_blocked

REDIS_SETTINGS: Mapping[str, str] = {
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
    there was none before. Keys are left alone. No settings: nothing is done, to any server.

    Raises UsageError for a server that is not ours, for another kind than Redis, and for a value that the
    server refuses; UnknownNameError for another setting than ``REDIS_SETTINGS``; BrokerUnavailableError where
    the server does not answer. Not for two blocks at a time on one server.
    """
    if not settings:
        yield
        return
    _check(broker, settings)
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
    """What this server is set to that it was not started with, ``appendonly=yes``; empty where nothing is.

    Raises BrokerUnavailableError where a Redis does not answer.
    """
    if broker.kind != "redis":
        return ""
    found = _read(broker)
    return ", ".join(
        f"{name}={found[name]}" for name, usual in REDIS_SETTINGS.items() if found[name] != usual
    )


def _check(broker: Broker, settings: Mapping[str, str]) -> None:
    name = probe.NAMES[broker.kind]
    if not broker.ours:
        raise UsageError(
            f"{name} at {broker.masked_url} was not started by the lab, so its settings are left alone; "
            f"choose --provider compose or native for {', '.join(settings)}"
        )
    if broker.kind != "redis":
        raise UsageError(f"{name} has no settings for one trial, so {', '.join(settings)} cannot be set")
    for setting, value in settings.items():
        if setting not in REDIS_SETTINGS:
            raise UnknownNameError("setting of Redis", setting, REDIS_SETTINGS)
        if not _PLAIN.fullmatch(value):
            raise UsageError(f"{setting} of Redis cannot be {value!r}")


def _read(broker: Broker) -> dict[str, str]:
    with probe.redis_client(broker.url) as client:
        found: dict[str, str] = {}
        for name in (*REDIS_SETTINGS, "dir", "appenddirname", "appendfilename"):
            found |= client.config_get(name)
        return found


def _set(broker: Broker, settings: Mapping[str, str]) -> None:
    import redis

    with probe.redis_client(broker.url) as client:
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
