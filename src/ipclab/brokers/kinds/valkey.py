"""Valkey, which continues Redis 7.2 under a free licence and speaks its protocol."""

from __future__ import annotations

from ipclab.backends.redis import url as urls
from ipclab.brokers.kinds.base import ComposeService
from ipclab.brokers.kinds.redis import Redis

_SCHEMES = {"valkey://": "redis://", "valkeys://": "rediss://"}


class Valkey(Redis):
    """A Valkey server, on which the Redis backends run with ``--server redis=valkey``.

    Everything but its program is as for Redis: configuration, commands, and the client.
    """

    name = "valkey"
    title = "Valkey"
    variables = ("VALKEY_URL",)
    program = "valkey-server"
    package = "valkey-server"
    formula = "valkey"
    speaks = "redis"
    service = ComposeService(
        port=f"{urls.PORT}/tcp",
        variables=("IPCLAB_VALKEY_PORT",),
        url="redis://{login}{at}/0",
        password_variable="IPCLAB_VALKEY_PASSWORD",
        password_inside="IPCLAB_PASSWORD",
        login=":{}@",
    )

    def canonical(self, value: str) -> str:
        for scheme, spoken in _SCHEMES.items():
            if value.startswith(scheme):
                return spoken + value.removeprefix(scheme)
        return value
