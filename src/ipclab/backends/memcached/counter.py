"""A counter in a memcached server, under each discipline that memcached users practise."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING, Literal

from ipclab.backends.base import Counter, CounterClient, Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.memcached.channels import counter_gone
from ipclab.backends.memcached.client import connect
from ipclab.backends.shared import BUSY_PAUSE_S

if TYPE_CHECKING:
    from pymemcache.client.base import Client


class MemcachedCounter(Counter):
    """One key, incremented as ``discipline`` says.

    ``get-set``: get, then set; loses increments. ``cas``: gets, then cas, repeated when it was stale.
    ``incr``: incr. ``add-lock``: get and set under a lock that is taken with add and released with delete.

    ``add-lock`` is safe only while no holder is delayed for longer than ``lock_ttl_s`` minus the second that
    memcached may round off. After that a second client holds the lock too; the first one then deletes even
    that lock, and its late set undoes what the second confirmed. A client that dies with the lock blocks the
    others for as long.
    """

    name = "memcached"
    summary = "a key in memcached"
    broker = "memcached"
    options = (
        Option(
            "discipline", "incr", "how a client increments", choices=("get-set", "cas", "incr", "add-lock")
        ),
        Option("lock_ttl_s", 6, "discipline=add-lock: after this long a lock frees itself"),
    )

    @property
    def safe(self) -> bool:
        return self.discipline != "get-set"

    @property
    def reach(self) -> Literal["process tree", "host", "network"]:
        return "network"

    @property
    def key(self) -> str:
        """Return the key of the number."""
        return f"{self.site.namespace}:counter"

    @property
    def lock_key(self) -> str:
        """Return the key of the lock, which exists while the lock is held."""
        return f"{self.site.namespace}:lock"

    def setup(self) -> None:
        with closing(connect(self.site.broker_url)) as client:
            client.set(self.key, "0")

    def client(self, index: int) -> CounterClient:
        return self._client(connect(self.site.broker_url))

    def held_client(self, index: int, pause: Pause) -> CounterClient | None:
        if self.discipline == "incr":
            return None
        return self._client(hold(connect(self.site.broker_url), pause, "get", "gets"))

    def _client(self, client: Client) -> _Client:
        if self.discipline == "add-lock":
            return _AddLock(client, self.key, self.lock_key, int(self.chosen["lock_ttl_s"]))
        return _CLIENTS[self.discipline](client, self.key)

    def teardown(self) -> None:
        with closing(connect(self.site.broker_url)) as client:
            client.delete_many([self.key, self.lock_key])


class _Client(CounterClient):
    """The common part of the disciplines: one connection, one key."""

    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key

    def read(self) -> int:
        value: bytes | None = self._client.get(self._key)
        if value is None:
            raise counter_gone(self._key)
        return int(value)

    def close(self) -> None:
        self._client.close()


class _GetSet(_Client):
    def increment(self) -> None:
        self._client.set(self._key, str(self.read() + 1))


class _Cas(_Client):
    def increment(self) -> None:
        stored: bool | None = False
        while not stored:
            value, unchanged = self._client.gets(self._key)
            if value is None:
                raise counter_gone(self._key)
            stored = self._client.cas(self._key, str(int(value) + 1), unchanged)


class _Incr(_Client):
    def increment(self) -> None:
        if self._client.incr(self._key, 1) is None:
            raise counter_gone(self._key)


class _AddLock(_Client):
    def __init__(self, client: Client, key: str, lock: str, ttl_s: int) -> None:
        super().__init__(client, key)
        self._lock = lock
        self._ttl_s = ttl_s

    def increment(self) -> None:
        while not self._client.add(self._lock, "held", expire=self._ttl_s):
            time.sleep(BUSY_PAUSE_S)
        # Not released when this raises: a set whose fate is unknown may still be in flight, and only the
        # lock's own expiry keeps others out until then.
        self._client.set(self._key, str(self.read() + 1))
        self._client.delete(self._lock)


_CLIENTS: dict[str, type[_Client]] = {"get-set": _GetSet, "cas": _Cas, "incr": _Incr}
