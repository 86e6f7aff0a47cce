"""A lock in a Redis server, under each discipline that Redis users practise."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, cast

from ipclab.backends.base import Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.key_mutex import KeyMutex, LookAndSet
from ipclab.backends.redis import rights
from ipclab.backends.redis.client import connect
from ipclab.backends.redis.counter import RELEASE_LUA
from ipclab.backends.shared import BUSY_PAUSE_S, MutexClient

if TYPE_CHECKING:
    from redis import Redis

ACQUIRE_LUA = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then return redis.call('INCR', KEYS[2]) end
return 0
"""
WRITE_LUA = """
if tonumber(redis.call('GET', KEYS[1]) or '0') > tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1])
return 1
"""


class RedisMutex(KeyMutex):
    """A key that exists while the lock is held.

    ``get-set``: GET, and SET where nothing was found; two clients that read before either sets both hold it.
    ``set-nx``: SET NX PX with a value of the holder's own, released by a script that compares the value. It
    expires after ``ttl_ms``, so that a dead holder does not keep the others out for ever; for the same reason
    a holder that was only delayed shares it. ``fenced``: like ``set-nx``, with a number that rises at each
    acquire; the guarded resource refuses a number below the greatest that it has seen, so a late holder does
    no harm.
    """

    name = "redis"
    summary = "a key in Redis"
    broker = "redis"
    options = (
        Option("discipline", "fenced", "how a client takes the lock", ("get-set", "set-nx", "fenced")),
        Option("ttl_ms", 200, "set-nx and fenced: after this long a lock frees itself"),
    )

    def lacks(self) -> str:
        return rights.lacking_shared(self.site.broker_url, self.discipline)

    @property
    def keys(self) -> tuple[str, str, str]:
        """Return the keys of the lock, of the rising number, and of the guarded resource."""
        return tuple(f"{self.site.namespace}:{name}" for name in ("lock", "fence", "guarded"))  # type: ignore[return-value]

    def setup(self) -> None:
        with connect(self.site.broker_url) as client:
            client.ping()

    def client(self, index: int) -> MutexClient:
        client = connect(self.site.broker_url)
        if self.discipline == "get-set":
            return LookAndSet(client, self.keys[0])
        kind = _Fenced if self.fenced else _SetNx
        return kind(client, self.keys, int(self.chosen["ttl_ms"]))

    def held_client(self, index: int, pause: Pause) -> MutexClient | None:
        if self.expires:
            return None
        return LookAndSet(hold(connect(self.site.broker_url), pause, "get"), self.keys[0])

    def teardown(self) -> None:
        with connect(self.site.broker_url) as client:
            client.delete(*self.keys)


class _SetNx(MutexClient):
    def __init__(self, client: Redis, keys: tuple[str, str, str], ttl_ms: int) -> None:
        self._client = client
        self._lock, self._fence, self._guarded = keys
        self._ttl_ms = ttl_ms
        self._mine = b""
        self._release = client.register_script(RELEASE_LUA)

    def acquire(self) -> int | None:
        self._mine = secrets.token_bytes(16)
        while not self._client.set(self._lock, self._mine, nx=True, px=self._ttl_ms):
            time.sleep(BUSY_PAUSE_S)
        return None

    def release(self) -> None:
        self._release(keys=[self._lock], args=[self._mine])

    def close(self) -> None:
        self._client.close()


class _Fenced(_SetNx):
    def __init__(self, client: Redis, keys: tuple[str, str, str], ttl_ms: int) -> None:
        super().__init__(client, keys, ttl_ms)
        self._acquire: Any = client.register_script(ACQUIRE_LUA)
        self._write: Any = client.register_script(WRITE_LUA)

    def acquire(self) -> int:
        self._mine = secrets.token_bytes(16)
        while True:
            token = self._acquire(keys=[self._lock, self._fence], args=[self._mine, self._ttl_ms])
            if token:
                return cast("int", token)
            time.sleep(BUSY_PAUSE_S)

    def write(self, token: int) -> bool:
        return bool(self._write(keys=[self._guarded], args=[token]))
