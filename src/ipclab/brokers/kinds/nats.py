"""NATS, with JetStream."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Any

from ipclab.backends.nats import client as clients
from ipclab.backends.nats import jetstream as streams
from ipclab.brokers import programs
from ipclab.brokers.base import Broker, mask
from ipclab.brokers.kinds.base import (
    PROBE_TIMEOUT_S,
    REMOVAL,
    ComposeService,
    Launch,
    LoginRefusedError,
    Plan,
    ServerKind,
    one_line,
)
from ipclab.brokers.kinds.state import ServerState
from ipclab.errors import BrokerUnavailableError
from ipclab.host import ports


class Nats(ServerKind):
    """A NATS server. A private one has a random password, and JetStream with a folder of its own."""

    name = "nats"
    title = "NATS"
    schemes = ("nats", clients.TLS_SCHEME)
    variables = ("NATS_URL",)
    example_url = f"nats://user:password@host:{clients.PORT}"
    default_port = clients.PORT
    program = "nats-server"
    package = "nats-server"
    libraries = ("nats-py",)
    extra = "nats"
    service = ComposeService(
        port=f"{clients.PORT}/tcp",
        variables=("IPCLAB_NATS_PORT",),
        url="nats://{login}{at}",
        password_variable="IPCLAB_NATS_PASSWORD",
        password_inside="IPCLAB_PASSWORD",
        login="ipclab:{}@",
    )

    def version(self, url: str, timeout_s: float) -> str:
        with _link(url, timeout_s) as link:
            return str(link.client._server_info.get("version", "unknown version"))

    def plan(self, program: str, folder: Path) -> Plan:
        port, password = ports.free_port(), secrets.token_hex(16)
        # A file, because a command line is shown to every user of the machine.
        programs.write_private(
            folder / "nats.conf",
            f'listen: "127.0.0.1:{port}"\n'
            f'authorization {{ user: ipclab, password: "{password}" }}\n'
            f'jetstream {{ store_dir: "{folder / "data"}" }}\n',
        )
        launch = Launch((program, "-c", str(folder / "nats.conf")), programs.environment(folder))
        return Plan(f"nats://ipclab:{password}@127.0.0.1:{port}", (launch,))

    def check_url(self, url: str) -> None:
        super().check_url(url)
        clients.check(url)

    def describe(self, broker: Broker) -> ServerState:
        with _link(broker.url, PROBE_TIMEOUT_S) as link:
            found = link.client._server_info
            settings = {name: str(found.get(name, "")) for name in ("max_payload", "jetstream")}
        return ServerState(settings=settings)

    def names(self, url: str) -> Set[str] | None:
        with _link(url, PROBE_TIMEOUT_S) as link:
            return set(_streams(link))

    def remove(self, url: str, namespaces: Sequence[str]) -> int:
        begins = tuple(f"{namespace}:" for namespace in namespaces)
        with _link(url, PROBE_TIMEOUT_S, within_s=REMOVAL.within_s) as link:
            found = [name for name in _streams(link) if name.startswith(begins)]
            for name in found:
                link.run(link.client.jetstream().delete_stream(name))
        return len(found)


def _streams(link: clients.Link) -> list[str]:
    """Return the names of all streams, which are all that a NATS server stores for the lab."""
    if not streams.has_jetstream(link):
        return []
    jetstream = link.client.jetstream(timeout=PROBE_TIMEOUT_S)
    found: list[Any] = []
    while page := link.run(jetstream.streams_info(len(found))):
        found += page
    return [str(info.config.name) for info in found]


@contextlib.contextmanager
def _link(url: str, timeout_s: float, *, within_s: float | None = None) -> Iterator[clients.Link]:
    """Yield a connection. Errors of the client become BrokerUnavailableError."""
    import nats.errors

    try:
        link = clients.Link(url, timeout_s=timeout_s)
    except BrokerUnavailableError as error:
        cause = error.__cause__
        reason = one_line(cause if cause is not None else error)
        if isinstance(cause, nats.errors.AuthorizationError) or "uthorization" in str(error):
            raise LoginRefusedError(f"NATS at {mask(url)} refuses the login: {reason}") from None
        raise BrokerUnavailableError(f"NATS at {mask(url)} does not answer: {reason}") from None
    try:
        yield link
    except (nats.errors.Error, OSError, TimeoutError, ValueError, KeyError) as error:
        raise BrokerUnavailableError(f"NATS at {mask(url)} does not answer: {one_line(error)}") from None
    finally:
        link.close()
