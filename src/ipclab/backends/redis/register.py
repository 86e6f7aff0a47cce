"""A register in a Redis server, under each discipline that Redis users practise."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from ipclab.backends.base import Option, Pause
from ipclab.backends.held import hold
from ipclab.backends.redis import rights
from ipclab.backends.redis.client import connect
from ipclab.backends.shared import Register, RegisterClient
from ipclab.errors import ChannelError

if TYPE_CHECKING:
    from redis import Redis

COMPARE_LUA = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
"""


class RedisRegister(Register):
    """One key, changed from one value to another as ``discipline`` says.

    ``get-set``: GET, compare, SET; two clients that compare before either sets both believe that they were
    first. ``watch``: WATCH, GET, compare, then SET within MULTI and EXEC; repeated when another client
    changed the key. ``lua``: compare and set in a script.

    The other two only read and write. ``cached``: reads come from a copy in the process, which is renewed at
    every ``cache_reads``-th read, and so return values that another client has long overwritten. ``direct``:
    every read is a GET.
    """

    name = "redis"
    summary = "a key in Redis"
    broker = "redis"
    options = (
        Option(
            "discipline",
            "lua",
            "how a client compares and sets, or reads",
            ("get-set", "watch", "lua", "cached", "direct"),
        ),
        Option("cache_reads", 10, "discipline=cached: how many reads a copy serves"),
    )

    def lacks(self) -> str:
        return rights.lacking_shared(self.site.broker_url, self.discipline)

    @property
    def safe(self) -> bool:
        return self.discipline in ("watch", "lua", "direct")

    @property
    def compares(self) -> bool:
        return self.discipline in ("get-set", "watch", "lua")

    @property
    def reach(self) -> Literal["network"]:
        return "network"

    @property
    def key(self) -> str:
        """Return the key of the value."""
        return f"{self.site.namespace}:register"

    def setup(self) -> None:
        with connect(self.site.broker_url) as client:
            client.set(self.key, 0)

    def client(self, index: int) -> RegisterClient:
        return self._client(connect(self.site.broker_url))

    def held_client(self, index: int, pause: Pause) -> RegisterClient | None:
        if self.discipline not in ("get-set", "watch"):
            return None
        client = connect(self.site.broker_url)
        if self.discipline == "get-set":
            return _GetSet(hold(client, pause, "get"), self.key)
        watching = _Watch(client, self.key)
        watching.transaction = hold(watching.transaction, pause, "get")
        return watching

    def _client(self, client: Redis) -> RegisterClient:
        if self.discipline == "cached":
            return _Cached(client, self.key, int(self.chosen["cache_reads"]))
        return _CLIENTS[self.discipline](client, self.key)

    def teardown(self) -> None:
        with connect(self.site.broker_url) as client:
            client.delete(self.key)


class _Client(RegisterClient):
    def __init__(self, client: Redis, key: str) -> None:
        self._client = client
        self._key = key

    def read(self) -> int:
        return self.number(self._client.get(self._key))

    def write(self, value: int) -> None:
        self._client.set(self._key, value)

    def number(self, value: Any) -> int:
        """Return the number in the answer to a GET of the key. Raise ChannelError where the key is gone."""
        if value is None:
            raise ChannelError(f"Redis no longer has {self._key}: it was restarted, or it dropped the key")
        return int(value)

    def close(self) -> None:
        self._client.close()


class _GetSet(_Client):
    def compare_and_set(self, old: int, new: int) -> bool:
        if self.read() != old:
            return False
        self.write(new)
        return True


class _Watch(_Client):
    def __init__(self, client: Redis, key: str) -> None:
        from redis.exceptions import WatchError

        super().__init__(client, key)
        self._conflict = WatchError
        self.transaction: Any = client.pipeline()  # redis-py leaves watch() without types

    def compare_and_set(self, old: int, new: int) -> bool:
        transaction = self.transaction
        while True:
            try:
                transaction.watch(self._key)
                if self.number(transaction.get(self._key)) != old:
                    transaction.unwatch()
                    return False
                transaction.multi()
                transaction.set(self._key, new)
                transaction.execute()
            except self._conflict as conflict:
                # redis-py raises the same error when the connection failed in here; then the outcome is
                # unknown.
                if conflict.__context__ is not None:
                    raise conflict.__context__ from None
            else:
                return True


class _Lua(_Client):
    def __init__(self, client: Redis, key: str) -> None:
        super().__init__(client, key)
        self._script = client.register_script(COMPARE_LUA)

    def compare_and_set(self, old: int, new: int) -> bool:
        return bool(self._script(keys=[self._key], args=[old, new]))


class _Cached(_Client):
    def __init__(self, client: Redis, key: str, reads: int) -> None:
        super().__init__(client, key)
        self._reads = reads
        self._left = 0
        self._copy = 0

    def read(self) -> int:
        if not self._left:
            self._copy = super().read()
            self._left = self._reads
        self._left -= 1
        return self._copy

    def write(self, value: int) -> None:
        super().write(value)
        self._copy, self._left = value, self._reads


_CLIENTS: dict[str, type[_Client]] = {"get-set": _GetSet, "watch": _Watch, "lua": _Lua, "direct": _Client}
