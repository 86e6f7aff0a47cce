"""How every memcached client of the lab is made from a URL: an adapter's, a probe's and a scenario's.

``memcached://host:port``, ``memcached://user:password@host:port`` (the ASCII login of a server with
``--auth-file``), ``memcached:///path`` (a Unix socket) and ``memcacheds://host:port`` (TLS). pymemcache knows
no SASL. It is imported on the first connection, so that listing the backends does not load it.
"""

from __future__ import annotations

import functools
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ipclab.backends import urls
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host.bounded_socket import BoundedSocket

if TYPE_CHECKING:
    from pymemcache.client.base import Client

CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 10.0
PORT = 11211
_MOST_LOGIN_BYTES = 2000
TLS_SCHEME = "memcacheds"
_TLS: dict[str, urls.Check] = {
    "ca_certs": urls.file,
    "cert_reqs": urls.one_of("none", "required"),
    "check_hostname": urls.boolean,
    "certfile": urls.file,
    "keyfile": urls.file,
}


class LoginRefused(ConnectionError):
    """The server requires a login and got none, or a wrong one."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a server is: ``host`` and ``port``, or ``path`` of a Unix socket; ``str()`` has no password."""

    host: str
    port: int
    path: str
    user: str
    password: str
    tls: ssl.SSLContext | None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.path or f"{host}:{self.port}"

    def connect(self, timeout_s: float | None) -> socket.socket:
        """Open a connection, log in where the server requires that, and return it. Raise OSError."""
        at = self.host, self.port
        link = socket.socket(socket.AF_UNIX) if self.path else urls.open_tcp(*at, timeout_s)
        try:
            link.settimeout(timeout_s)
            if self.path:
                link.connect(self.path)
            if self.tls is not None:
                link = self.tls.wrap_socket(link, server_hostname=self.host)
            if self.password:
                within_s = CONNECT_TIMEOUT_S if timeout_s is None else timeout_s
                self._log_in(BoundedSocket(link, most_bytes=_MOST_LOGIN_BYTES, within_s=within_s))
                link.settimeout(timeout_s)
        except BaseException:
            link.close()
            raise
        return link

    def _log_in(self, link: BoundedSocket) -> None:
        """Log in to a server with ``--auth-file``.

        A server without one would store the login as an item, so it is asked first whether it requires a
        login.
        """
        link.sendall(b"version\r\n")
        if _read_line(link).startswith(b"VERSION"):
            return
        login = f"{self.user} {self.password}".encode()
        link.sendall(b"set auth 0 0 %d\r\n%b\r\n" % (len(login), login))
        if _read_line(link) != b"STORED":
            raise LoginRefused("the server refuses the login")


def check(url: str) -> None:
    """Raise UsageError where no client can be made from ``url``; the message contains no value of it."""
    parts = urlsplit(url)
    tls = parts.scheme == TLS_SCHEME
    if not tls and parts.query:
        raise UsageError(f"a memcached:// URL has no options; TLS options need a {TLS_SCHEME}:// URL")
    found = urls.options(url, _TLS, parts.scheme)
    if parts.hostname and parts.path not in ("", "/"):
        raise UsageError("a memcached URL has either a host or the path of a Unix socket, not both")
    if bool(parts.username) != bool(parts.password):
        raise UsageError("a memcached URL has both a user and a password, or neither")
    if tls:
        try:
            _tls_context(found)
        except (OSError, ValueError):
            raise UsageError("the certificates that the memcached URL names cannot be used") from None


def endpoint(url: str) -> Endpoint:
    """Return the endpoint of ``url``, which may be only ``host:port``. Raise UsageError like ``check()``."""
    url = url if "://" in url else f"memcached://{url}"
    check(url)
    parts = urlsplit(url)
    path = "" if parts.hostname else unquote(parts.path)
    return Endpoint(
        host=parts.hostname or "127.0.0.1",
        port=parts.port or PORT,
        path=path,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        tls=_tls_context(urls.options(url, _TLS, parts.scheme)) if parts.scheme == TLS_SCHEME else None,
    )


def make(url: str, **settings: Any) -> Client:
    """Return pymemcache's client with its defaults, except for these settings and for how it connects.

    Its own way of connecting supports neither a second address of a host nor a login. It connects with its
    first command.
    """
    at = endpoint(url)
    made: Client = _client_class()((at.host, at.port), **settings)
    made.endpoint = at
    return made


def connect(url: str, *, timeout_s: float = REPLY_TIMEOUT_S) -> Client:
    """Return a connected client that waits for the answer to every command, and repeats none.

    Not thread-safe, not usable after a fork. Raise BrokerUnavailableError where the server cannot be reached
    or refuses the login.
    """
    from pymemcache.exceptions import MemcacheError

    connected = make(
        url,
        connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
        timeout=timeout_s,
        no_delay=True,
        default_noreply=False,
    )
    try:
        connected.version()
    except (OSError, MemcacheError) as error:
        connected.close()
        raise BrokerUnavailableError(
            f"no memcached connection to {connected.endpoint}: {error or type(error).__name__}"
        ) from error
    return connected


@functools.cache
def _client_class() -> Any:
    from pymemcache.client.base import Client

    class _Client(Client):  # type: ignore[misc]
        endpoint: Endpoint
        bound: Callable[[socket.socket], Any] | None = None
        """Limits the bytes and the time of a connection; None leaves it unlimited."""

        def _connect(self) -> None:
            self.close()
            link = self.endpoint.connect(self.connect_timeout)
            link.settimeout(self.timeout)
            self.sock = link if self.bound is None else self.bound(link)

    return _Client


def _tls_context(found: dict[str, str]) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=found.get("ca_certs"))
    if not urls.boolean(found.get("check_hostname", "yes")) or found.get("cert_reqs") == "none":
        context.check_hostname = False
    if found.get("cert_reqs") == "none":
        context.verify_mode = ssl.CERT_NONE
    if "certfile" in found:
        context.load_cert_chain(found["certfile"], found.get("keyfile"))
    return context


def _read_line(link: BoundedSocket) -> bytes:
    """Read a line of a few bytes and return it without its end."""
    line = b""
    while not line.endswith(b"\r\n") and len(line) < 1000:
        more = link.recv(1)
        if not more:
            raise LoginRefused("the server closed the connection, as a server that requires SASL does")
        line += more
    return line.rstrip()
