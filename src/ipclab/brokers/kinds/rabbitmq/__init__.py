"""RabbitMQ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import urlsplit

from ipclab.backends.base import Guarantees
from ipclab.backends.rabbitmq import url as urls
from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.base import ComposeService, Plan, ServerKind, Squeeze
from ipclab.brokers.kinds.rabbitmq import facts, leftovers, pressure, private, probe
from ipclab.brokers.kinds.state import ServerState

_PORT = 5672


class RabbitMQ(ServerKind):
    """A RabbitMQ server. A private one has a random password, and an Erlang name registry of its own."""

    name = "rabbitmq"
    title = "RabbitMQ"
    schemes = ("amqp", "amqps")
    variables = ("RABBITMQ_URL", "AMQP_URL")
    example_url = f"amqp://user:password@host:{_PORT}/%2F"
    default_port = _PORT
    program = "rabbitmq-server"
    package = "rabbitmq-server"
    formula = "rabbitmq"
    libraries = ("pika",)
    service = ComposeService(
        port=f"{_PORT}/tcp",
        variables=("IPCLAB_RABBITMQ_PORT", "IPCLAB_RABBITMQ_MANAGEMENT_PORT"),
        url="amqp://{login}{at}/%2F",
        password_variable="IPCLAB_RABBITMQ_PASSWORD",
        password_inside="RABBITMQ_DEFAULT_PASS",
        login="guest:{}@",
    )
    has_memory_limit = True
    call_grace_s = 30.0
    starts_again_s = 8.0

    def version(self, url: str, timeout_s: float) -> str:
        return probe.version(url, timeout_s)

    def check_url(self, url: str) -> None:
        super().check_url(url)
        urls.check(url)

    def address(self, url: str) -> tuple[str | None, int]:
        parts = urlsplit(url)
        return parts.hostname, parts.port or (5671 if parts.scheme == "amqps" else self.default_port)

    def accepts_proxy(self, url: str) -> bool:
        return super().accepts_proxy(url) and "ssl_options" not in urlsplit(url).query

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        return leftovers.remove(url, namespaces)

    def find_program(self) -> str | None:
        return private.find_script() or super().find_program()

    def plan(self, program: str, folder: Path) -> Plan:
        return private.plan(program, folder)

    def describe(self, broker: Broker) -> ServerState:
        return facts.describe(broker)

    def under(self, guarantees: Guarantees, settings: Mapping[str, str]) -> Guarantees:
        return facts.under(guarantees, settings)

    def squeezed(self, broker: Broker) -> AbstractContextManager[Squeeze]:
        return pressure.squeezed(broker)
