"""Asks a Redis with its real client whether it is ready, which version it is, and what it has used."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ipclab.brokers.base import Usage, mask
from ipclab.brokers.kinds.base import PROBE_TIMEOUT_S, LoginRefusedError, one_line
from ipclab.errors import BrokerUnavailableError


@contextlib.contextmanager
def client(url: str, timeout_s: float = PROBE_TIMEOUT_S) -> Iterator[Any]:
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
        reason = "it wants a password" if "HELLO AUTH" in str(error) else one_line(error)
        raise LoginRefusedError(f"Redis at {mask(url)} refuses the login: {reason}") from None
    except redis.ResponseError as error:
        if "AUTH" in str(error).upper():
            raise LoginRefusedError(f"Redis at {mask(url)} refuses the login: {one_line(error)}") from None
        reason = f"answers with an error: {one_line(error)}"
        raise BrokerUnavailableError(f"Redis at {mask(url)} {reason}") from None
    except (redis.RedisError, OSError, ValueError, KeyError) as error:
        raise BrokerUnavailableError(f"Redis at {mask(url)} does not answer: {one_line(error)}") from None
    finally:
        client.close()


def version(url: str, timeout_s: float) -> str:
    with client(url, timeout_s) as connected:
        connected.ping()
        server = connected.info("server")
        if server.get("server_name") == "valkey":
            return f"{server['valkey_version']} (valkey)"
        return str(server["redis_version"])


def usage(url: str, timeout_s: float) -> Usage:
    """Return the CPU time and memory that the server itself reports."""
    with client(url, timeout_s) as connected:
        cpu = connected.info("cpu")
        memory = connected.info("memory")
    cpu_s = float(cpu["used_cpu_sys"]) + float(cpu["used_cpu_user"])
    return Usage(cpu_s, int(memory.get("used_memory_rss", 0)))
