"""The brokers beside the lab's container: found by name, marked, and harmed only with the engine's socket."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from ipclab.brokers import compose, fleet, outlook, services, settings, state
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.trial import serving


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The environment of the lab's container, in which these names of services are known."""
    known = ["redis", "rabbitmq"]

    def resolve(host: str, *_: Any) -> list[Any]:
        if host not in known:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return []

    monkeypatch.setenv(services.VARIABLE, "1")
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path / "state"))
    for variable in ("REDIS_URL", "RABBITMQ_URL", "MEMCACHED_URL", "IPCLAB_SERVERS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(services.socket, "getaddrinfo", resolve)
    monkeypatch.setattr(services, "SOCKET", tmp_path / "no.sock")
    monkeypatch.setattr(compose, "wait_until_ready", lambda kind, url: "8.2.1")
    return known


def test_outside_a_container_nothing_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(services.VARIABLE, raising=False)
    assert services.connect("redis") is None


def test_a_service_is_found_by_its_name_and_says_which_network(beside: list[str]) -> None:
    broker = services.connect("redis")
    assert broker is not None
    assert (broker.url, broker.provider, broker.ours) == ("redis://redis:6379/0", "compose", False)
    facts = serving.facts(broker)
    assert facts is not None
    assert (facts.provider, facts.network) == ("compose", "container network")


def test_the_password_of_a_service_comes_from_the_environment(
    beside: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCLAB_RABBITMQ_PASSWORD", "a/b")
    broker = services.connect("rabbitmq")
    assert broker is not None
    assert broker.url == "amqp://guest:a%2Fb@rabbitmq:5672/%2F"
    assert broker.masked_url == "amqp://rabbitmq:5672/%2F"


def test_a_service_that_does_not_run_is_missing_with_the_command_that_starts_it(beside: list[str]) -> None:
    with pytest.raises(BrokerUnavailableError, match="docker compose up --detach memcached"):
        services.connect("memcached")
    assert outlook.describe("memcached").startswith("no: no service memcached runs beside the lab")


def test_a_run_uses_the_services_beside_it(beside: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "changed", lambda broker: "")
    with fleet.acquire(["redis"], install=False) as found:
        assert found.brokers["redis"].url == "redis://redis:6379/0"
        assert list(state.records()) == []


@pytest.mark.parametrize("act", ["pause", "resume", "kill", "shut_down", "restart"])
def test_without_the_socket_a_fault_is_refused_with_what_to_do(beside: list[str], act: str) -> None:
    broker = services.connect("redis")
    with pytest.raises(UsageError, match="docker compose run --rm lab-faults"):
        getattr(broker, act)()


def test_without_the_socket_settings_are_refused_with_what_to_do(beside: list[str]) -> None:
    broker = services.connect("redis")
    assert broker is not None
    with (
        pytest.raises(UsageError, match="docker compose run --rm lab-faults"),
        settings.applied(broker, {"appendonly": "yes"}),
    ):
        pass
