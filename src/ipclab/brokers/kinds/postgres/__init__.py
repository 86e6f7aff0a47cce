"""PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence, Set
from pathlib import Path
from signal import SIGINT

from ipclab.backends.postgres.connection import PORT
from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.base import ComposeService, Plan, ServerKind
from ipclab.brokers.kinds.postgres import facts, private
from ipclab.brokers.kinds.state import ServerState


class Postgres(ServerKind):
    """A PostgreSQL server with its default settings. A private one has a random password."""

    name = "postgres"
    title = "PostgreSQL"
    schemes = ("postgresql", "postgres")
    variables = ("POSTGRES_URL",)
    example_url = f"postgresql://user:password@host:{PORT}/database"
    default_port = PORT
    program = "postgres"
    package = "postgresql"
    formula = "postgresql@17"
    libraries = ("psycopg", "psycopg-binary")
    extra = "postgres"
    # SIGTERM would wait until each client has closed its connection.
    stop_signal = SIGINT
    starts_again_s = 3.0
    service = ComposeService(
        port=f"{PORT}/tcp",
        variables=("IPCLAB_POSTGRES_PORT",),
        url="postgresql://{login}{at}/ipclab",
        password_variable="IPCLAB_POSTGRES_PASSWORD",
        password_inside="POSTGRES_PASSWORD",
        login="ipclab:{}@",
    )

    def version(self, url: str, timeout_s: float) -> str:
        return facts.version(url, timeout_s)

    def find_program(self) -> str | None:
        return private.find_program()

    def plan(self, program: str, folder: Path) -> Plan:
        return private.plan(program, folder)

    def describe(self, broker: Broker) -> ServerState:
        return facts.describe(broker.url)

    def names(self, url: str) -> Set[str] | None:
        return facts.names(url)

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        return facts.remove(url, namespaces)
