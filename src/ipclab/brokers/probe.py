"""Asks a server of any kind whether it is ready, and for its version and resource use.

Every call opens a connection of its own and closes it, with a bounded time for each step. Errors are
BrokerUnavailableError with one line that names the masked URL.
"""

from __future__ import annotations

import socket
from urllib.parse import unquote, urlsplit

from ipclab.backends.base import BrokerKind
from ipclab.brokers import kinds
from ipclab.brokers.base import Usage, mask
from ipclab.brokers.kinds.base import PROBE_TIMEOUT_S, LoginRefusedError, one_line
from ipclab.errors import BrokerUnavailableError

__all__ = ["PROBE_TIMEOUT_S", "LoginRefusedError", "port_open", "usage", "version"]


def version(kind: BrokerKind, url: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> str:
    """Return the version of the server at ``url``, after it answered its own client.

    Raise BrokerUnavailableError where nothing usable answers within about ``timeout_s`` per step, or its
    subclass LoginRefusedError where the password is wrong.
    """
    _require_listener(kind, url, timeout_s)
    return kinds.get(kind).version(url, timeout_s)


def usage(kind: BrokerKind, url: str, *, timeout_s: float = PROBE_TIMEOUT_S) -> Usage | None:
    """Return the resource use that the server itself reports; None where it reports none."""
    return kinds.get(kind).usage(url, timeout_s)


def port_open(url: str, *, timeout_s: float = 1.0) -> bool:
    """Return whether something accepts connections at ``url``: the cheapest check, made first."""
    parts = urlsplit(url)
    try:
        if parts.hostname is None:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(timeout_s)
                link.connect(unquote(parts.path))
        else:
            socket.create_connection((parts.hostname, parts.port or 0), timeout=timeout_s).close()
    except OSError:
        return False
    return True


def _require_listener(kind: BrokerKind, url: str, timeout_s: float) -> None:
    """Raise where nothing listens, with the text of the system, which the clients wrap in many ways."""
    of = kinds.get(kind)
    try:
        host, port = of.address(url)
        if host is not None:
            socket.create_connection((host, port), timeout=timeout_s).close()
    except TimeoutError:
        raise of.unavailable(url, f"does not answer: no connection within {timeout_s:g} s") from None
    except OSError as error:
        raise of.unavailable(url, f"does not answer: {error.strerror or error}") from None
    except ValueError as error:
        raise BrokerUnavailableError(f"{mask(url)} is not a URL: {one_line(error)}") from None
