"""Asks a Redis with its real client whether it is ready, and for its version and resource use."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from ipclab.backends.redis.client import bound, make
from ipclab.brokers.base import Usage, mask
from ipclab.brokers.kinds.base import PROBE_MOST_BYTES, PROBE_TIMEOUT_S, LoginRefusedError, one_line
from ipclab.errors import BrokerUnavailableError
from ipclab.host.bounded_socket import Bounds


@contextlib.contextmanager
def client(
    url: str, timeout_s: float = PROBE_TIMEOUT_S, *, bounds: Bounds | None = None, ours: bool = False
) -> Iterator[Any]:
    """Yield a client that tries each command once.

    Errors of the client become BrokerUnavailableError, unless the caller catches them.

    A connection reads at most PROBE_MOST_BYTES, within ``timeout_s`` altogether, unless ``bounds`` say
    otherwise. On a server of the lab (``ours``), only each step has a time limit.
    """
    import redis

    # Like the workers: without HELLO, which some servers do not know and others echo with the password.
    client = make(url, retries=False, protocol=2, socket_timeout=timeout_s, socket_connect_timeout=timeout_s)
    if not ours:
        bound(client, bounds or Bounds(PROBE_MOST_BYTES, timeout_s))
    where = f"Redis at {mask(url)}"
    try:
        yield client
    except redis.AuthenticationError as error:
        # With HELLO, and without it.
        no_password = ("without any password", "Authentication required")
        wants_one = any(words in str(error) for words in no_password)
        reason = "it requires a password" if wants_one else one_line(error)
        raise LoginRefusedError(f"{where} refuses the login: {reason}") from None
    except redis.exceptions.NoPermissionError as error:
        raise BrokerUnavailableError(f"{where} denies this user a permission: {one_line(error)}") from None
    except redis.ResponseError as error:
        if "AUTH" in str(error).upper():
            raise LoginRefusedError(f"{where} refuses the login: {one_line(error)}") from None
        raise BrokerUnavailableError(f"{where} answers with an error: {one_line(error)}") from None
    except (redis.RedisError, OSError, ValueError, KeyError) as error:
        reason = one_line(error)
        if "max number of clients" in reason:
            raise BrokerUnavailableError(
                f"{where} accepts no more clients: raise its maxclients, or close other clients"
            ) from None
        raise BrokerUnavailableError(f"{where} does not answer: {reason}") from None
    finally:
        client.close()


UNTOLD = "unknown version"
"""For a server that does not let this user read its version: workers do not read it either."""


def version(url: str, timeout_s: float) -> str:
    """Return the version of the server, once it has answered PING, which any user may send."""
    import redis

    with client(url, timeout_s) as connected:
        with contextlib.suppress(redis.exceptions.NoPermissionError):
            connected.ping()
        try:
            server = connected.info("server")
        except redis.AuthenticationError:
            raise
        except redis.ResponseError:
            return UNTOLD
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
