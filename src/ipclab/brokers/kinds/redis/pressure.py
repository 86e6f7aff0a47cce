"""Puts Redis short of memory: ``maxmemory`` a little above what it uses."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.base import Squeeze
from ipclab.brokers.kinds.redis import probe
from ipclab.host.interruptions import ending_blocked

ROOM_BYTES = 2**20
"""The bytes that a Redis may still use, in addition to what it uses already."""


@contextlib.contextmanager
def squeezed(broker: Broker) -> Iterator[Squeeze]:
    """Set ``maxmemory`` a little above the used memory, keep the policy, and restore it afterwards."""
    with probe.client(broker.url, ours=True) as client:
        before = client.config_get("maxmemory")["maxmemory"]
        policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    try:
        with probe.client(broker.url, ours=True) as client:
            limit = int(client.info("memory")["used_memory"]) + ROOM_BYTES
            client.config_set("maxmemory", limit)
        yield Squeeze(
            ROOM_BYTES,
            f"maxmemory {limit} bytes, {ROOM_BYTES} above what was in use; maxmemory-policy {policy}",
        )
    finally:
        with ending_blocked():
            broker.revive()
            with probe.client(broker.url, ours=True) as client:
                client.config_set("maxmemory", before)
