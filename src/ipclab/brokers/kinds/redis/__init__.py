"""Redis, and servers that speak its protocol, such as Valkey."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from ipclab.backends.base import Guarantees
from ipclab.backends.redis import url as urls
from ipclab.brokers import programs
from ipclab.brokers.base import Broker, Usage
from ipclab.brokers.kinds import listening
from ipclab.brokers.kinds.base import ComposeService, Launch, Plan, ServerKind, SettingsCase, Squeeze
from ipclab.brokers.kinds.redis import facts, leftovers, pressure, probe, trial_settings
from ipclab.brokers.kinds.state import Room, ServerState
from ipclab.host import ports


class Redis(ServerKind):
    """A Redis server. A private one has a random password and keeps nothing on disk."""

    name = "redis"
    title = "Redis"
    schemes = ("redis", "rediss", "unix")
    variables = ("REDIS_URL",)
    example_url = f"redis://:password@host:{urls.PORT}/0"
    default_port = urls.PORT
    program = "redis-server"
    package = "redis-server"
    formula = "redis"
    libraries = ("redis", "hiredis")
    service = ComposeService(
        port=f"{urls.PORT}/tcp",
        variables=("IPCLAB_REDIS_PORT",),
        url="redis://{login}{at}/0",
        password_variable="IPCLAB_REDIS_PASSWORD",
        password_inside="IPCLAB_PASSWORD",
        login=":{}@",
    )
    has_memory_limit = True
    settings_cases = (
        SettingsCase({"appendonly": "yes", "appendfsync": "always"}, ("kill", "restart")),
        SettingsCase({"maxmemory-policy": "allkeys-lru"}, ("fill-memory",)),
    )

    def version(self, url: str, timeout_s: float) -> str:
        return probe.version(url, timeout_s)

    def usage(self, url: str, timeout_s: float) -> Usage | None:
        return probe.usage(url, timeout_s)

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        return leftovers.remove(url, namespaces)

    def plan(self, program: str, folder: Path) -> Plan:
        port, password, host = ports.free_port(), secrets.token_hex(16), listening.address()
        data = folder / "data"
        data.mkdir(exist_ok=True)
        programs.write_private(data / trial_settings.SETTINGS_FILE, "")
        # A file, because a command line is shown to every user of the machine.
        programs.write_private(
            folder / "redis.conf",
            f"bind {host}\nport {port}\nrequirepass {password}\n"
            f'dir "{data}"\nsave ""\nappendonly no\ndaemonize no\n'
            f'include "{data / trial_settings.SETTINGS_FILE}"\n',
        )
        launch = Launch((program, str(folder / "redis.conf")), programs.environment(folder))
        return Plan(f"redis://:{password}@{host}:{port}/0", (launch,))

    def check_url(self, url: str) -> None:
        super().check_url(url)
        urls.check(url)

    def is_local(self, url: str) -> bool:
        return urlsplit(url).scheme == "unix"

    def describe(self, broker: Broker) -> ServerState:
        return facts.describe(broker.url)

    def room(self, url: str, item_bytes: int) -> Room | None:
        return facts.room(url)

    def losses(self, url: str) -> dict[str, int]:
        return facts.losses(url)

    def most_lost(
        self, url: str, dropped: Mapping[str, int], *, settings: Mapping[str, str], in_one_item: int | None
    ) -> int | None:
        return facts.most_lost(url, sum(dropped.values()), settings, in_one_item)

    def squeezed(self, broker: Broker) -> AbstractContextManager[Squeeze]:
        return pressure.squeezed(broker)

    def check_settings(self, settings: Mapping[str, str]) -> None:
        trial_settings.check(settings)

    def applied(self, broker: Broker, settings: Mapping[str, str]) -> AbstractContextManager[None]:
        return trial_settings.applied(broker, settings)

    def changed(self, broker: Broker) -> str:
        return trial_settings.changed(broker)

    def under(self, guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
        return trial_settings.under(guarantees, settings)
