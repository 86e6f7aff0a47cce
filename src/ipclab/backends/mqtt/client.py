"""How the MQTT adapter talks to its broker: paho-mqtt without its thread, one connection, no reconnection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from ipclab.errors import BrokerUnavailableError, ChannelError, UsageError

if TYPE_CHECKING:
    from paho.mqtt.client import Client

PORT = 1883
TLS_SCHEME = "mqtts"
CONNECT_TIMEOUT_S = 5.0
REPLY_TIMEOUT_S = 10.0
KEEPALIVE_S = 60
_TURN_S = 5.0
"""The longest that one turn of paho's loop waits: at each turn it may send a sign of life."""


class Link:
    """One connection, with a session that ends with it. Not thread-safe, not usable after a fork.

    paho reads and writes only within ``wait()``, apart from what ``publish()`` writes at once. Raise
    BrokerUnavailableError where the broker cannot be reached or refuses the login.
    """

    def __init__(self, url: str, *, timeout_s: float = CONNECT_TIMEOUT_S) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        parts = urlsplit(url)
        self._answers: list[Any] = []
        self.client: Client = Client(CallbackAPIVersion.VERSION2, clean_session=True)
        self.client.connect_timeout = timeout_s
        self.client.on_connect = self._on_connect
        if parts.username is not None:
            password = None if parts.password is None else unquote(parts.password)
            self.client.username_pw_set(unquote(parts.username), password)
        if parts.scheme == TLS_SCHEME:
            self.client.tls_set()
        try:
            self.client.connect(parts.hostname or "", parts.port or PORT, KEEPALIVE_S)
            self.wait(lambda: bool(self._answers), timeout_s)
        except (OSError, ValueError, ChannelError) as error:
            self.close()
            if self._answers and self._answers[0].is_failure:
                raise unavailable(url, str(self._answers[0]), refused=True) from error
            raise unavailable(url, " ".join(str(error).split())) from error

    def wait(self, is_done: Callable[[], bool], within_s: float | None = REPLY_TIMEOUT_S) -> None:
        """Let paho read and write until this is so. Raise ChannelError where the connection ends first.

        Raise it too where it is not so ``within_s``; None for no limit.
        """
        until_s = None if within_s is None else time.monotonic() + within_s
        loop = self.client.loop
        while not is_done():
            left_s = _TURN_S if until_s is None else until_s - time.monotonic()
            if left_s <= 0:
                raise ChannelError(f"the MQTT broker did not answer within {within_s:g} s")
            if ended := loop(min(left_s, _TURN_S)):
                raise ChannelError(f"the connection to the MQTT broker has ended: {ended.name}")

    def close(self) -> None:
        """Write what is left to write, and end the connection and its session."""
        client = self.client
        if client.is_connected():
            self.wait(lambda: not client.want_write())
            client.disconnect()
            while client.loop(REPLY_TIMEOUT_S) == 0:
                pass
        client._reset_sockets()

    def _on_connect(self, _client: object, _data: object, _flags: object, reason: Any, _more: object) -> None:
        self._answers.append(reason)


class RefusedError(BrokerUnavailableError):
    """The broker refuses the user or the password."""


def unavailable(url: str, why: str, *, refused: bool = False) -> BrokerUnavailableError:
    """Return the error for the user where the broker at ``url`` cannot be used."""
    parts = urlsplit(url)
    kind = RefusedError if refused else BrokerUnavailableError
    return kind(f"no MQTT broker to work with at {parts.hostname}:{parts.port or PORT}: {why}")


def check(url: str) -> None:
    """Raise UsageError, without any value of ``url``, where the client would ignore a part of it."""
    parts = urlsplit(url)
    if parts.query or parts.path not in ("", "/"):
        raise UsageError("a URL of MQTT has no path and no options; write it like mqtt://user:password@host")
    if parts.password is not None and not parts.username:
        raise UsageError("a URL of MQTT with a password needs a user, as in mqtt://user:password@host")
