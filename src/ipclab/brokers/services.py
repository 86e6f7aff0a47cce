"""The brokers beside the lab where it is a container of the compose project, found by the names of services.

They are on a network of containers and not on the loopback address, which their ``network`` says. With the
engine's socket in the container the lab controls them as it does on the host; without it they are only used.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from ipclab.backends.base import BrokerKind
from ipclab.brokers import compose, engine, kinds
from ipclab.brokers.base import Broker
from ipclab.brokers.kinds.base import ComposeService
from ipclab.brokers.only_used import OnlyUsedBroker
from ipclab.errors import BrokerUnavailableError, IpclabError
from ipclab.host.texts import mark

if TYPE_CHECKING:
    from docker.models.containers import Container

VARIABLE = "IPCLAB_IN_COMPOSE"
"""The variable that compose.yaml sets in a container of the lab."""
NETWORK = mark("container network")
SOCKET = Path("/var/run/docker.sock")
_HAND = "run it with the engine's socket: docker compose run --rm lab-faults"


class ServiceBroker(OnlyUsedBroker):
    """A service beside the lab's container, without a hand on it: no engine can be reached."""

    provider = "compose"

    def __init__(self, kind: BrokerKind, url: str, version: str) -> None:
        super().__init__(kind, url, version, ours=False)
        self.network = NETWORK
        self.to_control_it = _HAND

    def _refusal(self, what: str) -> str:
        return f"this container cannot {what} the service {self.kind}; {_HAND}"


class ControlledService(compose.ComposeBroker):
    """A service beside the lab's container, controlled by the engine whose socket the container has."""

    def __init__(self, kind: BrokerKind, host: str, container: Container, version: str) -> None:
        super().__init__(kind, host, container, version)
        self.network = NETWORK

    def address(self, kind: BrokerKind, container: Container) -> str:
        return _url(kind, compose.password(kind, container))

    @property
    def outlives_run(self) -> bool:
        return True

    def stop(self) -> None:
        """Stop using the server: `docker compose down` ends it."""


def beside() -> bool:
    """Return whether the lab runs in a container of the compose project."""
    return bool(os.environ.get(VARIABLE))


def connect(kind: BrokerKind) -> Broker | None:
    """Return the service of this kind beside the lab's container; None where the lab is in none.

    Raise BrokerUnavailableError where no such service runs, or it does not answer.
    """
    if not beside():
        return None
    service = kinds.get(kind).service
    if service is None:
        raise BrokerUnavailableError("compose.yaml has no service for it")
    try:
        socket.getaddrinfo(kind, None)
    except OSError:
        raise BrokerUnavailableError(
            f"no service {kind} runs beside the lab: docker compose up --detach {kind}"
        ) from None
    if SOCKET.is_socket():
        return _controlled(kind)
    url = _url(kind, os.environ.get(service.password_variable, ""))
    return ServiceBroker(kind, url, compose.wait_until_ready(kind, url))


def _controlled(kind: BrokerKind) -> Broker:
    host = f"unix://{SOCKET}"
    try:
        with engine.client(host) as client:
            own = client.containers.get(socket.gethostname())
            project = own.labels[engine.PROJECT_LABEL]
            labels = [
                f"{engine.PROJECT_LABEL}={project}",
                f"com.docker.compose.service={kind}",
                engine.OURS,
            ]
            container = client.containers.list(filters={"label": labels, "status": "running"})[0]
    except (IpclabError, LookupError) as error:
        raise BrokerUnavailableError(f"the engine does not show the service {kind}: {error}") from None
    version = compose.wait_until_ready(kind, _url(kind, compose.password(kind, container)))
    return ControlledService(kind, host, container, version)


def _url(kind: BrokerKind, password: str) -> str:
    service = _service(kind)
    login = service.login.format(quote(password, safe="")) if password else ""
    return service.url.format(login=login, at=f"{kind}:{service.port.partition('/')[0]}")


def _service(kind: BrokerKind) -> ComposeService:
    service = kinds.get(kind).service
    assert service is not None, f"compose.yaml has no service {kind}"
    return service
