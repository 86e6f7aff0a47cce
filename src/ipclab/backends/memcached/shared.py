"""A register and a lock in a memcached server, under each discipline that memcached users practise."""

from __future__ import annotations

import secrets
import time
from contextlib import closing
from typing import TYPE_CHECKING, Literal

from ipclab.backends.base import Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.key_mutex import KeyMutex, LookAndSet
from ipclab.backends.memcached.channels import counter_gone
from ipclab.backends.memcached.client import connect
from ipclab.backends.shared import BUSY_PAUSE_S, MutexClient, Register, RegisterClient

if TYPE_CHECKING:
    from pymemcache.client.base import Client


class MemcachedRegister(Register):
    """One key. ``get-set``: get, compare, set; two clients that compare before either sets both believe that
    they were first. ``cas``: gets, compare, cas; repeated when it was stale."""

    name = "memcached"
    summary = "a key in memcached"
    broker = "memcached"
    options = (Option("discipline", "cas", "how a client compares and sets", ("get-set", "cas")),)

    @property
    def safe(self) -> bool:
        return self.discipline == "cas"

    @property
    def reach(self) -> Literal["network"]:
        return "network"

    @property
    def key(self) -> str:
        """Return the key of the value."""
        return f"{self.site.namespace}:register"

    def setup(self) -> None:
        with closing(connect(self.site.broker_url)) as client:
            client.set(self.key, "0")

    def client(self, index: int) -> RegisterClient:
        return self._client(connect(self.site.broker_url))

    def held_client(self, index: int, pause: Pause) -> RegisterClient:
        return self._client(hold(connect(self.site.broker_url), pause, "get", "gets"))

    def _client(self, client: Client) -> RegisterClient:
        return (_Cas if self.safe else _GetSet)(client, self.key)

    def teardown(self) -> None:
        with closing(connect(self.site.broker_url)) as client:
            client.delete(self.key)


class _GetSet(RegisterClient):
    def __init__(self, client: Client, key: str) -> None:
        self._client = client
        self._key = key

    def read(self) -> int:
        value: bytes | None = self._client.get(self._key)
        if value is None:
            raise counter_gone(self._key)
        return int(value)

    def write(self, value: int) -> None:
        self._client.set(self._key, str(value))

    def compare_and_set(self, old: int, new: int) -> bool:
        if self.read() != old:
            return False
        self.write(new)
        return True

    def close(self) -> None:
        self._client.close()


class _Cas(_GetSet):
    def compare_and_set(self, old: int, new: int) -> bool:
        stored: bool | None = False
        while not stored:
            value, unchanged = self._client.gets(self._key)
            if value is None:
                raise counter_gone(self._key)
            if int(value) != old:
                return False
            stored = self._client.cas(self._key, str(new), unchanged)
        return True


class MemcachedMutex(KeyMutex):
    """A key that exists while the lock is held.

    ``get-set``: get, and set where nothing was found; two clients that read before either sets both hold it.
    ``add``: add with an expiry, released with delete. It expires after ``ttl_s``, of which memcached may
    round off one second. So a holder that was delayed for longer shares the lock, and its late release takes
    the lock from the other. ``fenced``: as ``add``, with a number from incr, taken while the key was its own;
    the guarded resource refuses a number below the greatest that it has seen, by gets and cas.
    """

    name = "memcached"
    summary = "a key in memcached"
    broker = "memcached"
    options = (
        Option("discipline", "fenced", "how a client takes the lock", ("get-set", "add", "fenced")),
        Option("ttl_s", 2, "add and fenced: after this long a lock frees itself"),
    )

    @property
    def key(self) -> str:
        """Return the key of the lock; the keys of its number and of the guarded resource begin with it."""
        return f"{self.site.namespace}:lock"

    def setup(self) -> None:
        with closing(connect(self.site.broker_url)) as client:
            client.set_many({f"{self.key}:fence": "0", f"{self.key}:guarded": "0"})

    def client(self, index: int) -> MutexClient:
        client = connect(self.site.broker_url)
        if self.expires:
            return (_Fenced if self.fenced else _Add)(client, self.key, int(self.chosen["ttl_s"]))
        return LookAndSet(client, self.key)

    def held_client(self, index: int, pause: Pause) -> MutexClient | None:
        if self.expires:
            return None
        return LookAndSet(hold(connect(self.site.broker_url), pause, "get"), self.key)

    def teardown(self) -> None:
        with closing(connect(self.site.broker_url)) as client:
            client.delete_many([self.key, f"{self.key}:fence", f"{self.key}:guarded"])


class _Add(MutexClient):
    def __init__(self, client: Client, key: str, ttl_s: int) -> None:
        self._client = client
        self._key = key
        self._ttl_s = ttl_s

    def acquire(self) -> int | None:
        self._take("held")
        return None

    def _take(self, value: str) -> None:
        while not self._client.add(self._key, value, expire=self._ttl_s):
            time.sleep(BUSY_PAUSE_S)

    def release(self) -> None:
        self._client.delete(self._key)

    def close(self) -> None:
        self._client.close()


class _Fenced(_Add):
    def acquire(self) -> int:
        # A client delayed between the two would get the greater number after another client has got the lock.
        while True:
            mine = secrets.token_hex(8)
            self._take(mine)
            token: int | None = self._client.incr(f"{self._key}:fence", 1)
            if token is None:
                raise counter_gone(f"{self._key}:fence")
            if self._client.get(self._key) == mine.encode():
                return token

    def write(self, token: int) -> bool:
        guarded = f"{self._key}:guarded"
        stored: bool | None = False
        while not stored:
            value, unchanged = self._client.gets(guarded)
            if value is None:
                raise counter_gone(guarded)
            if int(value) > token:
                return False
            stored = self._client.cas(guarded, str(token), unchanged)
        return True
