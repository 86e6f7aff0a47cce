"""Checks AMQP URLs. pika ignores some mistakes, and reports others together with the secret values."""

from __future__ import annotations

import ast
from urllib.parse import urlsplit

from ipclab.backends import urls
from ipclab.errors import UsageError


def _dictionary(value: str) -> None:
    """Raise ValueError unless this is a dictionary in Python's notation."""
    if not isinstance(ast.literal_eval(value), dict):
        raise ValueError("no dictionary")


def _ssl_options(value: str) -> None:
    """Raise unless a TLS context can be made from these options and the files that they name."""
    import pika

    _dictionary(value)
    pika.URLParameters("amqps://host/")._set_url_ssl_options(value)


_OPTIONS: dict[str, urls.Check] = {
    "heartbeat": int,
    "blocked_connection_timeout": float,
    "channel_max": int,
    "connection_attempts": int,
    "frame_max": int,
    "locale": str,
    "retry_delay": float,
    "socket_timeout": float,
    "stack_timeout": float,
    "client_properties": _dictionary,
    "tcp_options": _dictionary,
    "ssl_options": _ssl_options,
}


def check(url: str) -> None:
    """Raise UsageError, without any value of ``url``, where pika cannot use it or would misread it."""
    parts = urlsplit(url)
    urls.options(url, _OPTIONS, "amqp")
    if parts.username is not None and parts.password is None:
        raise UsageError(
            "an AMQP URL has both a user and a password, or neither, as in amqp://user:password@host/"
        )
    if parts.path.count("/") > 1:
        raise UsageError(
            "a / in a virtual host is written as %2F, as in amqp://host/%2F or amqp://host/one%2Ftwo"
        )
