"""Asks a server with its real client whether it is ready, which version it is, and what it has used.

Every call opens a connection of its own and closes it, with a bounded time for each step; clients are
imported on first use. Errors are BrokerUnavailableError with one line that names the masked URL.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from ipclab.backends.base import BrokerKind
from ipclab.brokers.base import Usage, mask
from ipclab.errors import BrokerUnavailableError

TIMEOUT_S = 5.0
NAMES: Mapping[BrokerKind, str] = {"redis": "Redis", "rabbitmq": "RabbitMQ", "memcached": "memcached"}
DEFAULT_PORTS: Mapping[BrokerKind, int] = {"redis": 6379, "rabbitmq": 5672, "memcached": 11211}


class LoginRefusedError(BrokerUnavailableError):
    """The server is there and refuses the user or the password: waiting does not help."""


def version(kind: BrokerKind, url: str, *, timeout_s: float = TIMEOUT_S) -> str:
    """The version of the server at ``url``, after it answered its own client.

    Raises BrokerUnavailableError where nothing usable answers within about ``timeout_s`` a step, and its
    LoginRefusedError where the password is wrong.
    """
    _connect(kind, url, timeout_s)
    return {"redis": _redis_version, "rabbitmq": _rabbitmq_version, "memcached": _memcached_version}[kind](
        url, timeout_s
    )


def usage(kind: BrokerKind, url: str, *, timeout_s: float = TIMEOUT_S) -> Usage | None:
    """What the server itself says that it has used; None for RabbitMQ, whose client protocol cannot say."""
    if kind == "redis":
        with redis_client(url, timeout_s) as client:
            cpu = client.info("cpu")
            memory = client.info("memory")
        cpu_s = float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"])
        return Usage(cpu_s, int(memory.get("used_memory_rss", 0)))
    if kind == "memcached":
        stats = memcached_stats(url, timeout_s=timeout_s)
        # memcached counts the bytes of its items, and does not tell what the process holds.
        return Usage(float(stats[b"rusage_user"]) + float(stats[b"rusage_system"]), None)
    return None


def address(kind: BrokerKind, url: str) -> tuple[str | None, int]:
    """Host and port of a URL; no host for that of a Unix socket. Raises ValueError where it is none."""
    parts = urlsplit(url)
    return parts.hostname, parts.port or DEFAULT_PORTS[kind]


def port_open(url: str, *, timeout_s: float = 1.0) -> bool:
    """Whether something accepts connections at ``url``: the cheapest question, asked before the real one."""
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=timeout_s):
            return True
    except OSError:
        return False


def memcached_stats(url: str, *, timeout_s: float = TIMEOUT_S) -> dict[bytes, Any]:
    """The general statistics of the memcached server at ``url``; ``pid`` tells whose it is."""
    with _memcached(url, timeout_s) as client:
        stats: dict[bytes, Any] = client.stats()
        return stats


def _connect(kind: BrokerKind, url: str, timeout_s: float) -> None:
    """Raise where nothing listens, in the words of the system, which the clients wrap in many ways."""
    try:
        host, port = address(kind, url)
        if host is not None:
            socket.create_connection((host, port), timeout=timeout_s).close()
    except TimeoutError:
        raise BrokerUnavailableError(
            f"{NAMES[kind]} at {mask(url)} does not answer: no connection within {timeout_s:g} s"
        ) from None
    except OSError as error:
        raise BrokerUnavailableError(
            f"{NAMES[kind]} at {mask(url)} does not answer: {error.strerror or error}"
        ) from None
    except ValueError as error:
        raise BrokerUnavailableError(f"{mask(url)} is not a URL: {_line(error)}") from None


@contextlib.contextmanager
def redis_client(url: str, timeout_s: float = TIMEOUT_S) -> Iterator[Any]:
    """A client that tries once. What it raises comes out as BrokerUnavailableError, unless caught within."""
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry

    try:
        client = redis.Redis.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
    except ValueError as error:
        raise BrokerUnavailableError(f"{mask(url)} is not a Redis URL: {error}") from None
    try:
        yield client
    except (redis.AuthenticationError, redis.exceptions.NoPermissionError) as error:
        # What Redis says to a client without a password is about its protocol.
        reason = "it wants a password" if "HELLO AUTH" in str(error) else _line(error)
        raise LoginRefusedError(f"Redis at {mask(url)} refuses the login: {reason}") from None
    except redis.ResponseError as error:
        if "AUTH" in str(error).upper():
            raise LoginRefusedError(f"Redis at {mask(url)} refuses the login: {_line(error)}") from None
        raise BrokerUnavailableError(f"Redis at {mask(url)} answers with an error: {_line(error)}") from None
    except (redis.RedisError, OSError, ValueError, KeyError) as error:
        raise BrokerUnavailableError(f"Redis at {mask(url)} does not answer: {_line(error)}") from None
    finally:
        client.close()


def _redis_version(url: str, timeout_s: float) -> str:
    with redis_client(url, timeout_s) as client:
        client.ping()
        server = client.info("server")
        if server.get("server_name") == "valkey":
            return f"{server['valkey_version']} (valkey)"
        return str(server["redis_version"])


def _rabbitmq_version(url: str, timeout_s: float) -> str:
    import pika
    from pika import exceptions
    from pika.adapters.utils.connection_workflow import AMQPConnectorException

    try:
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError, KeyError) as error:
        raise BrokerUnavailableError(f"{mask(url)} is not an AMQP URL: {_line(error)}") from None
    parameters.connection_attempts = 1
    parameters.socket_timeout = timeout_s
    parameters.stack_timeout = timeout_s
    parameters.blocked_connection_timeout = timeout_s
    try:
        connection = pika.BlockingConnection(parameters)
        try:
            properties = connection._impl.server_properties
            connection.channel().close()
            return str(properties["version"])
        finally:
            with contextlib.suppress(exceptions.AMQPError):
                connection.close()
    except (exceptions.AuthenticationError, exceptions.ProbableAuthenticationError) as error:
        raise LoginRefusedError(f"RabbitMQ at {mask(url)} refuses the login: {_line(error)}") from None
    except exceptions.ProbableAccessDeniedError as error:
        raise LoginRefusedError(
            f"RabbitMQ at {mask(url)} refuses this virtual host: {_line(error)}"
        ) from None
    except (exceptions.AMQPError, AMQPConnectorException, OSError, KeyError, TypeError) as error:
        raise BrokerUnavailableError(f"RabbitMQ at {mask(url)} does not answer: {_line(error)}") from None


@contextlib.contextmanager
def _memcached(url: str, timeout_s: float) -> Iterator[Any]:
    from pymemcache.client.base import Client
    from pymemcache.exceptions import MemcacheError

    parts = urlsplit(url)
    client = Client(
        (parts.hostname or "127.0.0.1", parts.port or 11211),
        connect_timeout=timeout_s,
        timeout=timeout_s,
        default_noreply=False,
    )
    try:
        yield client
    except (MemcacheError, OSError, ValueError, KeyError, IndexError) as error:
        raise BrokerUnavailableError(f"memcached at {mask(url)} does not answer: {_line(error)}") from None
    finally:
        client.close()


def _memcached_version(url: str, timeout_s: float) -> str:
    with _memcached(url, timeout_s) as client:
        answer: bytes = client.version()
        return answer.decode("ascii", "replace")


def _line(error: BaseException) -> str:
    """An exception as one line; pika's often have no text but hold their cause as an argument."""
    return (" ".join(str(error).split()) or " ".join(repr(error).split())).removesuffix(".")
