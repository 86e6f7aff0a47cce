"""Settings of a Redis for one trial, such as its append-only file: applied, kept across a crash, restored.

They apply at once (``CONFIG SET``), and are in a file that the server reads when it starts. Without that
file, a server that must keep its data would forget the setting after a crash, and keep nothing. The lab uses
a file of its own: ``CONFIG REWRITE`` would also write the modules of an image, which its entry point then
loads a second time, and the server would refuse to start.
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
"""A file in Redis's data folder with the settings of a trial, which survives a kill and a restart."""
SETTINGS: Mapping[str, str] = {
    "appendonly": "no",
    "appendfsync": "everysec",
    "maxmemory": "0",
    "maxmemory-policy": "noeviction",
}
"""The settings that a trial can change, and their default values."""
_REWRITTEN_WITHIN_S = 60.0
_POLL_S = 0.01
# Values that a configuration file can contain without quotes.
_PLAIN = re.compile(r"[A-Za-z0-9-]+")


@contextlib.contextmanager
def applied(broker: Broker, settings: Mapping[str, str]) -> Iterator[None]:
    """Apply these settings to a server within the block, and restore the old ones afterwards.

    They persist when the server is killed or shut down, and started again, within the block; a server that is
    down at the end is started. An append-only file is complete when the block begins, and deleted afterwards
    if there was none before. Keys are left alone.

    Raise UsageError for a value that the server refuses, BrokerUnavailableError where the server does not
    answer. Do not use two blocks at a time on one server.
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
                # Redis 7 has a folder, and earlier versions a file.
                name = before.get("appenddirname") or before["appendfilename"]
                broker.execute("rm", "-rf", f"{before['dir']}/{name}")


def changed(broker: Broker) -> str:
    """Return the settings that differ from those at the start, such as ``appendonly=yes``; empty for none.

    Raise BrokerUnavailableError where the server does not answer.
    """
    found = _read(broker)
    return ", ".join(f"{name}={found[name]}" for name, usual in SETTINGS.items() if found[name] != usual)


def check(settings: Mapping[str, str]) -> None:
    """Raise UnknownNameError for a setting that is not in ``SETTINGS``, UsageError for a malformed value."""
    for setting, value in settings.items():
        if setting not in SETTINGS:
            raise UnknownNameError("setting of Redis", setting, SETTINGS)
        if not _PLAIN.fullmatch(value):
            raise UsageError(f"{setting} of Redis cannot be set to {value!r}")


def under(guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
    """Return what is declared on a Redis with these settings.

    ``appendonly: yes`` writes every command to a file, so that confirmed messages survive a restart in good
    order. With ``appendfsync: always`` they also survive the end of the process, not necessarily that of the
    disk; with any other value, a write may come after its answer while an earlier one is being synced. The
    file contains only what the server stores: nothing of a fan-out, and of a delivery at most once not the
    messages in flight to a consumer. A ``maxmemory-policy`` that evicts any key drops messages when memory is
    short. The channels' keys have no time to live, so policies for keys with one evict none of them.
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
    with probe.client(broker.url, ours=True) as client:
        found: dict[str, str] = {}
        for name in (*SETTINGS, "dir", "appenddirname", "appendfilename"):
            found |= client.config_get(name)
        return found


def _set(broker: Broker, settings: Mapping[str, str]) -> None:
    import redis

    with probe.client(broker.url, ours=True) as client:
        for name, value in settings.items():
            try:
                client.config_set(name, value)
            except redis.ResponseError as error:
                raise UsageError(f"Redis refuses {name} {value}: {error}") from None
        if settings.get("appendonly") == "yes":
            _wait_until_rewritten(client)


def _wait_until_rewritten(client: Any) -> None:
    """Wait until the append-only file contains the data from before it was turned on."""
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
    """Write the file that the server reads at its start; empty it instead of deleting it."""
    lines = "".join(f"{name} {value}\n" for name, value in settings.items())
    broker.execute("sh", "-c", 'printf %s "$1" > "$0"', f"{folder}/{SETTINGS_FILE}", lines)
