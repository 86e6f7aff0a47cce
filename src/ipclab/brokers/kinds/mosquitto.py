"""Mosquitto, a broker for MQTT."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

from ipclab.backends.mqtt import client as clients
from ipclab.brokers import programs
from ipclab.brokers.base import mask
from ipclab.brokers.kinds.base import ComposeService, Launch, LoginRefusedError, Plan, ServerKind, one_line
from ipclab.errors import BrokerUnavailableError, ChannelError
from ipclab.host import ports

_VERSION_TOPIC = "$SYS/broker/version"
_VERSION_WITHIN_S = 1.0
UNTOLD = "unknown version"
"""For a broker that publishes no version: ``$SYS`` is a custom of Mosquitto, not a part of MQTT."""
_ROUNDS = 101
"""Mosquitto's own number of rounds for the hash of a password."""


class Mosquitto(ServerKind):
    """A Mosquitto broker. A private one has a random password and keeps nothing on disk."""

    name = "mosquitto"
    title = "Mosquitto"
    schemes = ("mqtt", clients.TLS_SCHEME)
    variables = ("MQTT_URL",)
    example_url = f"mqtt://user:password@host:{clients.PORT}"
    default_port = clients.PORT
    program = "mosquitto"
    package = "mosquitto"
    libraries = ("paho-mqtt",)
    extra = "mqtt"
    service = ComposeService(
        port=f"{clients.PORT}/tcp",
        variables=("IPCLAB_MOSQUITTO_PORT",),
        url="mqtt://{login}{at}",
        password_variable="IPCLAB_MOSQUITTO_PASSWORD",
        password_inside="IPCLAB_PASSWORD",
        login="ipclab:{}@",
    )

    def version(self, url: str, timeout_s: float) -> str:
        try:
            link = clients.Link(url, timeout_s=timeout_s)
        except clients.RefusedError as error:
            raise LoginRefusedError(f"Mosquitto at {mask(url)} refuses the login: {_reason(error)}") from None
        except BrokerUnavailableError as error:
            raise self.unavailable(url, f"does not answer: {_reason(error)}") from None
        found: list[str] = []
        link.client.on_message = lambda _client, _data, message: found.append(
            message.payload.decode("utf-8", "replace")
        )
        try:
            link.client.subscribe(_VERSION_TOPIC)
            with contextlib.suppress(ChannelError):
                link.wait(lambda: bool(found), min(timeout_s, _VERSION_WITHIN_S))
        finally:
            with contextlib.suppress(ChannelError):
                link.close()
        return found[0].removeprefix("mosquitto version ") if found else UNTOLD

    def plan(self, program: str, folder: Path) -> Plan:
        port, password = ports.free_port(), secrets.token_hex(16)
        logins = folder / "logins"
        programs.write_private(logins, f"ipclab:{_hashed(password)}\n")
        lines = [
            f"listener {port} 127.0.0.1",
            "allow_anonymous false",
            f"password_file {logins}",
            "persistence false",
        ]
        if os.geteuid() == 0:
            # Linux drops the parent-death signal of a process that switches to another user.
            lines.append("user root")
        programs.write_private(folder / "mosquitto.conf", "\n".join(lines) + "\n")
        launch = Launch((program, "-c", str(folder / "mosquitto.conf")), programs.environment(folder))
        return Plan(f"mqtt://ipclab:{password}@127.0.0.1:{port}", (launch,))

    def check_url(self, url: str) -> None:
        super().check_url(url)
        clients.check(url)

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        """Return 0: the lab stores nothing on such a server, and sessions end with their connections."""
        return 0


def _reason(error: BrokerUnavailableError) -> str:
    """Return why, without the address that the client's own sentence begins with."""
    return one_line(error).partition(": ")[2]


def _hashed(password: str) -> str:
    """Return a password as Mosquitto 2 has it in its file: PBKDF2 with SHA-512, rounds, salt and hash."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ROUNDS)
    return f"$7${_ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"
