"""Checks Redis URLs, and turns one into arguments of a redis-py client."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from ipclab.backends import urls
from ipclab.backends.urls import Check
from ipclab.errors import UsageError

PORT = 6379
"""The port of a Redis whose URL names none."""
_LOGIN: dict[str, Check] = {"db": int, "username": str, "password": str}
_SET_BY_THE_LAB: dict[str, Check] = {
    "socket_timeout": float,
    "socket_connect_timeout": float,
    "socket_keepalive": urls.boolean,
    "socket_read_size": int,
    "retry_on_timeout": urls.boolean,
    "retry_on_error": str,
    "max_connections": int,
    "health_check_interval": int,
    "timeout": float,
    "protocol": urls.one_of("2", "3"),
    "decode_responses": urls.boolean,
    "encoding": str,
    "encoding_errors": str,
    "client_name": str,
}
"""Options that a program may have in its URL: the lab accepts them and uses its own, see ``connect()``."""
_TLS: dict[str, Check] = {
    "ssl_cert_reqs": urls.one_of("none", "optional", "required"),
    "ssl_ca_certs": urls.file,
    "ssl_ca_path": urls.folder,
    "ssl_ca_data": str,
    "ssl_certfile": urls.file,
    "ssl_keyfile": urls.file,
    "ssl_password": str,
    "ssl_check_hostname": urls.boolean,
    "ssl_min_version": int,
    "ssl_ciphers": str,
}


def check(url: str) -> None:
    """Raise UsageError, without any value of ``url``, where redis-py cannot use it.

    Other code checks scheme, host and port.
    """
    parts = urlsplit(url)
    tls = parts.scheme == "rediss"
    known = _LOGIN | _SET_BY_THE_LAB | (_TLS if tls else {})
    if not tls and any(name in _TLS for name, _, _ in _pairs(parts.query)):
        raise UsageError("the options ssl_… need TLS: write rediss:// instead of redis://")
    found = urls.options(url, known, parts.scheme)
    database = found.get("db") or ("" if parts.scheme == "unix" else unquote(parts.path).strip("/"))
    if database and not database.isdecimal():
        raise UsageError("the path of a Redis URL is the number of a database, as in redis://host/0")
    if parts.scheme == "unix" and not parts.path:
        raise UsageError("a unix:// URL of Redis has the path of the socket, as in unix:///run/redis.sock")


def settings(url: str) -> dict[str, Any]:
    """Return the arguments of ``redis.Redis``: host or socket, database, user, password, TLS.

    Raise UsageError as ``check()`` does.
    """
    from redis.connection import SSLConnection, UnixDomainSocketConnection, parse_url

    check(url)
    parsed: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    wanted = {"host", "port", *_LOGIN, *_TLS}
    found = {name: value for name, value in parsed.items() if name in wanted}
    connection = parsed.get("connection_class")
    if connection is SSLConnection:
        found["ssl"] = True
    if connection is UnixDomainSocketConnection:
        found["unix_socket_path"] = parsed["path"]
    return found


def _pairs(query: str) -> list[tuple[str, str, str]]:
    return [pair.partition("=") for pair in query.split("&")]
