"""How every Redis adapter talks to its server: one connection per worker, and no retries.

redis-py is imported on the first connection, so that listing the backends does not load it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ipclab.backends.base import Producer
from ipclab.backends.redis import url as urls
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host.bounded_socket import BoundedSocket, Bounds

if TYPE_CHECKING:
    from redis import Redis

CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 10.0


def connect(url: str, *, reply_timeout_s: float | None = REPLY_TIMEOUT_S, name: str | None = None) -> Redis:
    """Return a connected client with one connection of its own, called ``name`` in the server's client list.

    A call without an answer within ``reply_timeout_s`` (None: no limit) raises redis.TimeoutError, and is not
    repeated: the server may have executed it. Not thread-safe, not usable after a fork. Raise
    BrokerUnavailableError where the server cannot be reached or refuses the password.
    """
    import redis

    try:
        client = make(
            url,
            retries=False,
            protocol=2,
            socket_timeout=reply_timeout_s,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            client_name=name,
            single_connection_client=True,
        )
    except redis.RedisError as error:
        raise unavailable(url, error) from error
    return client


def unavailable(url: str, error: BaseException) -> BrokerUnavailableError:
    """Return the error for the user where the server at ``url`` failed with ``error``."""
    where = urlsplit(url)
    at = f"{where.hostname}:{where.port or urls.PORT}" if where.hostname else where.path
    return BrokerUnavailableError(f"no Redis to work with at {at}: {error}")


def make(url: str, *, retries: bool, **settings: Any) -> Redis:
    """Return redis-py's client for the server at ``url``, with its default retries or with none.

    From the URL come the address, the login and TLS: see ``url.settings()``. Raise UsageError for a URL that
    cannot be used.
    """
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    if not retries:
        settings["retry"] = Retry(NoBackoff(), 0)
    # Not by ``from_url()``: in some versions it ignores the retries of the constructor.
    return redis.Redis(**urls.settings(url), **settings)


def bound(client: Redis, bounds: Bounds) -> None:
    """Limit what each connection that this client makes from now on reads, and how long it lasts."""
    pool: Any = client.connection_pool
    connection_class: Any = pool.connection_class

    class _Bounded(connection_class):  # type: ignore[misc]
        def _connect(self) -> BoundedSocket:
            return bounds.around(super()._connect())

    pool.connection_class = _Bounded


def require_version(client: Redis, major: int, minor: int, what: str) -> None:
    """Raise UsageError unless the server has at least this version, which ``what`` needs.

    A server that does not allow this user to read its version is assumed to be new enough.
    """
    import redis

    try:
        version = str(client.info("server")["redis_version"])
    except redis.ResponseError:
        return
    if tuple(int(part) for part in version.split(".")[:2]) < (major, minor):
        raise UsageError(f"{what} needs Redis {major}.{minor} or newer, and this server is {version}")


class Pipeline:
    """Sends several commands in one write and returns their raw answers, over the client's own connection.

    It does what ``client.pipeline(transaction=False)`` does, without a second connection and without
    converting the answers. That saves 2 µs per command, which would show in a window.
    """

    def __init__(self, client: Redis) -> None:
        connection = client.connection
        assert connection is not None, "connect() makes clients with a connection of their own"
        # redis-py leaves these methods without types.
        self._connection: Any = connection

    def run(self, commands: Sequence[tuple[bytes | str | int | float, ...]]) -> list[Any]:
        """Send the commands; return the answers, in order.

        Raise redis.RedisError; then the fate of all the commands is unknown.
        """
        connection = self._connection
        connection.send_packed_command(connection.pack_commands(commands))
        read = connection.read_response
        try:
            return [read() for _ in commands]
        except BaseException:
            # Otherwise the next call would read the unread answers as its own.
            connection.disconnect()
            raise


class Sender(Producer):
    """Sends one command per message: ``command`` followed by the body."""

    def __init__(self, client: Redis, command: tuple[str, ...]) -> None:
        self._client = client
        self._command = partial(client.execute_command, *command)

    def send(self, body: bytes) -> None:
        self._command(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._command

    def close(self) -> None:
        self._client.close()


class WindowSender(Producer):
    """Like ``Sender``, with all commands since the last ``flush()`` in one write."""

    def __init__(self, client: Redis, command: tuple[str, ...]) -> None:
        self._client = client
        self._pipeline = Pipeline(client)
        self._command = command
        self._waiting: list[bytes] = []

    def send(self, body: bytes) -> None:
        self._waiting.append(body)

    def sender(self) -> Callable[[bytes], object]:
        return self._waiting.append

    def flush(self) -> None:
        commands: list[tuple[str | bytes, ...]] = [(*self._command, body) for body in self._waiting]
        # Cleared first: a command is never sent twice, whatever the answer is.
        self._waiting.clear()
        if commands:
            self._pipeline.run(commands)

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._client.close()
