"""A counter in a Redis server, under each discipline that Redis users practise."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING, Any, Literal

from ipclab.backends.base import Counter, CounterClient, Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.redis import rights
from ipclab.backends.redis.client import connect
from ipclab.backends.shared import BUSY_PAUSE_S
from ipclab.errors import ChannelError

if TYPE_CHECKING:
    from redis import Redis

INCREMENT_LUA = "return redis.call('SET', KEYS[1], redis.call('GET', KEYS[1]) + 1)"
RELEASE_LUA = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


class RedisCounter(Counter):
    """One key, incremented as ``discipline`` says.

    ``get-set`` GET, then SET. ``multi``: GET, then SET within MULTI and EXEC, which makes the SET atomic and
    nothing else. Both lose increments. ``watch``: like ``multi``, after WATCH, repeated from the start when
    another client changed the key. ``lua``: GET and SET in a script. ``incr``: INCR. ``lock``: GET and SET
    under a lock (SET NX PX with a token, released by a script that compares the token).

    ``lock`` is safe only while no holder is delayed for longer than ``lock_ttl_ms``: after that a second
    client holds the lock too, and the first one's late SET undoes what the second confirmed. A client that
    dies with the lock blocks the others for as long.
    """

    name = "redis"
    summary = "a key in Redis"
    broker = "redis"
    options = (
        Option(
            "discipline",
            "incr",
            "how a client increments",
            choices=("get-set", "multi", "watch", "lua", "incr", "lock"),
        ),
        Option("lock_ttl_ms", 5000, "discipline=lock: after this long a lock frees itself"),
    )

    def lacks(self) -> str:
        return rights.lacking_shared(self.site.broker_url, self.discipline)

    @property
    def safe(self) -> bool:
        return self.discipline not in ("get-set", "multi")

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
        with connect(self.site.broker_url) as client:
            client.set(self.key, 0)

    def client(self, index: int) -> CounterClient:
        return self._client(connect(self.site.broker_url))

    def held_client(self, index: int, pause: Pause) -> CounterClient | None:
        if self.discipline in ("lua", "incr"):
            return None
        client = connect(self.site.broker_url)
        if self.discipline != "watch":
            return self._client(hold(client, pause, "get"))
        watching = _Watch(client, self.key)
        watching.transaction = hold(watching.transaction, pause, "get")
        return watching

    def _client(self, client: Redis) -> _Client:
        if self.discipline == "lock":
            return _Lock(client, self.key, self.lock_key, int(self.chosen["lock_ttl_ms"]))
        return _CLIENTS[self.discipline](client, self.key)

    def teardown(self) -> None:
        with connect(self.site.broker_url) as client:
            client.delete(self.key, self.lock_key)


class _Client(CounterClient):
    """The common part of the disciplines: one connection, one key."""

    def __init__(self, client: Redis, key: str) -> None:
        self._client = client
        self._key = key

    def read(self) -> int:
        return self.number(self._client.get(self._key))

    def number(self, value: Any) -> int:
        """Return the number in the answer to a GET of the key. Raise ChannelError where the key is gone."""
        if value is None:
            raise ChannelError(f"Redis no longer has {self._key}: it was restarted, or it dropped the key")
        return int(value)

    def close(self) -> None:
        self._client.close()


class _GetSet(_Client):
    def increment(self) -> None:
        self._client.set(self._key, self.read() + 1)


class _Multi(_Client):
    def __init__(self, client: Redis, key: str) -> None:
        super().__init__(client, key)
        self._transaction = client.pipeline()

    def increment(self) -> None:
        self._transaction.set(self._key, self.read() + 1)
        self._transaction.execute()


class _Watch(_Client):
    def __init__(self, client: Redis, key: str) -> None:
        from redis.exceptions import WatchError

        super().__init__(client, key)
        self._conflict = WatchError
        self.transaction: Any = client.pipeline()  # redis-py leaves watch() without types

    def increment(self) -> None:
        transaction = self.transaction
        while True:
            try:
                transaction.watch(self._key)
                value = self.number(transaction.get(self._key))
                transaction.multi()
                transaction.set(self._key, value + 1)
                transaction.execute()
            except self._conflict as conflict:
                # redis-py raises the same error when the connection failed in here. Then the server may have
                # executed EXEC, and a repetition could count this increment twice.
                if conflict.__context__ is not None:
                    raise conflict.__context__ from None
            else:
                return


class _Lua(_Client):
    def __init__(self, client: Redis, key: str) -> None:
        super().__init__(client, key)
        self._script = client.register_script(INCREMENT_LUA)

    def increment(self) -> None:
        self._script(keys=[self._key])


class _Incr(_Client):
    def increment(self) -> None:
        self._client.incr(self._key)


class _Lock(_Client):
    def __init__(self, client: Redis, key: str, lock: str, ttl_ms: int) -> None:
        super().__init__(client, key)
        self._lock = lock
        self._ttl_ms = ttl_ms
        self._release = client.register_script(RELEASE_LUA)

    def increment(self) -> None:
        token = secrets.token_bytes(16)
        while not self._client.set(self._lock, token, nx=True, px=self._ttl_ms):
            time.sleep(BUSY_PAUSE_S)
        # Not released when this raises: a SET whose fate is unknown may still be in flight, and only the
        # lock's own expiry keeps others out until then.
        self._client.set(self._key, self.read() + 1)
        self._release(keys=[self._lock], args=[token])


_CLIENTS: dict[str, type[_Client]] = {
    "get-set": _GetSet,
    "multi": _Multi,
    "watch": _Watch,
    "lua": _Lua,
    "incr": _Incr,
}
