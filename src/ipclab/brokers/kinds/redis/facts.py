"""Reads from a Redis its mode, limits and persistence, and whether a run can use it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from ipclab.brokers.kinds.redis import probe
from ipclab.brokers.kinds.state import Room, ServerState

_CONFIGURED = (
    "maxmemory",
    "maxmemory-policy",
    "appendonly",
    "appendfsync",
    "save",
    "timeout",
    "maxclients",
    "client-output-buffer-limit",
)
UNTOLD = "not told to this user"
_FROM_INFO = {
    "maxmemory": "maxmemory",
    "maxmemory-policy": "maxmemory_policy",
    "maxclients": "maxclients",
}
"""Settings that INFO shows to a user who may not use CONFIG, as at a managed server."""
LOSSES = ("evicted_keys",)
"""Expired keys do not count, because no message of the lab has a time to live."""
_ONLY_WITH_TTL = "volatile"
"""The beginning of the policies that evict only keys with a time to live."""


def describe(url: str) -> ServerState:
    """Return the server's settings. Raise BrokerUnavailableError where it does not answer."""
    with probe.client(url) as client:
        info = _info(client)
        settings = _settings(client, info)
        unusable = _unusable(info) or _refuses_writes(client)
    free = None
    with contextlib.suppress(KeyError, ValueError):
        free = int(settings["maxclients"]) - int(info["connected_clients"])
    return ServerState(settings=settings, unusable=unusable, free_connections=free)


def room(url: str) -> Room | None:
    """Return how much the server takes before it evicts or refuses; None where it has no limit."""
    with probe.client(url) as client:
        info = _info(client)
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if not limit:
        return None
    items = sum(int(value["keys"]) for name, value in info.items() if name.startswith("db"))
    data = int(info.get("used_memory_dataset", used))
    return Room(
        free_bytes=max(limit - used, 0),
        items=items,
        item_bytes=data // items if items else 1,
        evicts=str(info.get("maxmemory_policy", "noeviction")).startswith("allkeys"),
    )


def losses(url: str) -> dict[str, int]:
    """Return how many keys the server has dropped by itself so far, by its own reasons."""
    with probe.client(url) as client:
        info = _info(client)
    return {name: int(info[name]) for name in LOSSES if name in info}


def most_lost(url: str, keys: int, settings: Mapping[str, str], in_one_item: int | None) -> int | None:
    """Return how many messages of the lab so many evicted keys can have cost; None for no bound.

    A policy for keys with a time to live evicts none of the lab's, which have none. It counts as in force
    where it was set before and still is. Any other can evict the one key that holds all messages of a
    channel.
    """
    if not keys:
        return 0
    if settings.get("maxmemory-policy", "").startswith(_ONLY_WITH_TTL):
        with probe.client(url) as client:
            now = str(_info(client).get("maxmemory_policy", ""))
        if now.startswith(_ONLY_WITH_TTL):
            return 0
    return None if in_one_item is None else keys * in_one_item


def _info(client: Any) -> dict[str, Any]:
    import redis

    try:
        found: dict[str, Any] = client.info()
    except redis.AuthenticationError:
        raise
    except redis.ResponseError:
        return {}
    return found


def _settings(client: Any, info: dict[str, Any]) -> dict[str, str]:
    import redis

    found = {"mode": str(info.get("redis_mode", UNTOLD)), "role": str(info.get("role", UNTOLD))}
    try:
        configured: dict[str, str] = client.config_get(*_CONFIGURED)
    except redis.ResponseError:
        configured = {name: str(info[key]) for name, key in _FROM_INFO.items() if key in info}
        if "aof_enabled" in info:
            configured["appendonly"] = "yes" if info["aof_enabled"] else "no"
    found |= {name: configured.get(name, UNTOLD) for name in _CONFIGURED}
    return found | {"acl": _rights(client)}


def _rights(client: Any) -> str:
    """Return the commands and keys that the user may use, in the notation of Redis."""
    import redis

    try:
        user = client.acl_getuser(client.acl_whoami())
    except redis.ResponseError:
        return UNTOLD
    commands, keys = user.get("commands", ""), user.get("keys", "")
    words = [commands if isinstance(commands, str) else " ".join(commands)]
    words += [*user.get("categories", ())]
    words += [keys if isinstance(keys, str) else " ".join(keys)]
    return " ".join(dict.fromkeys(word for text in words for word in text.split()))


def _unusable(info: dict[str, Any]) -> str:
    if info.get("redis_mode") == "sentinel":
        return "is a Sentinel, which keeps no data: give the address of the Redis that it watches"
    if info.get("redis_mode") == "cluster" or info.get("cluster_enabled"):
        return "is a node of a cluster, which has only a part of the keys: give a Redis without cluster mode"
    if info.get("role") == "slave" and str(info.get("slave_read_only", 1)) == "1":
        primary = f"{info.get('master_host')}:{info.get('master_port')}"
        return f"is a read-only replica of {primary}: give the address of that one"
    if info.get("loading"):
        return "is still loading its data: run again when it has finished"
    return ""


def _refuses_writes(client: Any) -> str:
    """Return why the server would refuse a write to a key of the lab; write nothing.

    Within MULTI a server checks a command as if it were to be executed, and DISCARD cancels it.
    """
    from ipclab.backends.redis.rights import refusals

    refused = refusals(client, (("SET", "ipclab:probe", "0"),))
    for text in refused.values():
        if text.startswith("OOM"):
            return "is out of memory and refuses writes: raise its maxmemory, or free some memory"
        if text.startswith(("READONLY", "MISCONF", "NOREPLICAS", "MOVED", "CLUSTERDOWN")):
            return f"refuses writes: {text}"
    return ""
