"""The user's own servers, for which private ones stand in: what is set must answer, and is never ended."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import KINDS, Broker, Fleet, acquire, kinds, probe, status
from ipclab.errors import BrokerUnavailableError, UsageError
from ipclab.host import ports

UNUSABLE: dict[BrokerKind, str] = {
    "redis": "redis://:topsecret@127.0.0.1:{}/0",
    "rabbitmq": "amqp://user:topsecret@127.0.0.1:{}/%2F",
    "memcached": "memcached://127.0.0.1:{}",
}


@pytest.fixture
def users_server(
    native_fleet: Fleet, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[BrokerKind], Broker]:
    """Names a server of this kind in the environment, as its user would."""

    def name(kind: BrokerKind) -> Broker:
        monkeypatch.setenv(kinds.get(kind).variables[0], native_fleet.brokers[kind].url)
        return native_fleet.brokers[kind]

    return name


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_that_a_variable_names_is_used_and_left_running(
    users_server: Callable[[BrokerKind], Broker], kind: BrokerKind
) -> None:
    server = users_server(kind)
    with acquire([kind], install=False) as fleet:
        broker = fleet.brokers[kind]
        assert (broker.provider, broker.url, broker.version) == ("url", server.url, server.version)
        assert not broker.ours
        assert broker.alive()
        broker.stop()
    assert server.alive()


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_tells_its_own_cost_where_its_protocol_can(
    users_server: Callable[[BrokerKind], Broker], kind: BrokerKind
) -> None:
    users_server(kind)
    with acquire([kind], install=False) as fleet:
        usage = fleet.brokers[kind].usage()
    if kind == "rabbitmq":
        assert usage is None
    else:
        assert usage is not None
        assert usage.cpu_s > 0


@pytest.mark.parametrize("what", ["pause", "resume", "kill", "shut_down", "restart", "execute"])
def test_a_server_of_somebody_else_is_not_hurt(
    users_server: Callable[[BrokerKind], Broker], what: str
) -> None:
    server = users_server("redis")
    with acquire(["redis"], install=False) as fleet, pytest.raises(UsageError, match="did not start"):
        getattr(fleet.brokers["redis"], what)()
    assert server.alive()


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_wrong_password_is_one_clear_line_that_does_not_show_it(
    users_server: Callable[[BrokerKind], Broker], kind: BrokerKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = users_server(kind)
    right = urlsplit(server.url).password or ""
    monkeypatch.setenv(kinds.get(kind).variables[0], server.url.replace(right, "topsecret"))
    with pytest.raises(BrokerUnavailableError) as caught:
        acquire([kind], install=False)
    message = str(caught.value)
    assert caught.value.exit_code == 4
    assert "refuses the login" in message
    assert kinds.get(kind).variables[0] in message
    assert "topsecret" not in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_is_not_there_is_an_error_and_no_other_provider_is_tried(
    own_state: Path, kind: BrokerKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(kinds.get(kind).variables[0], UNUSABLE[kind].format(ports.free_port()))
    with pytest.raises(BrokerUnavailableError) as caught:
        acquire([kind], install=False)
    message = str(caught.value)
    assert "refused" in message
    assert kinds.get(kind).variables[0] in message
    assert "topsecret" not in message
    assert "\n" not in message


@pytest.mark.parametrize("kind", KINDS)
def test_a_server_that_accepts_and_says_nothing_is_given_up(own_state: Path, kind: BrokerKind) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = UNUSABLE[kind].format(silent.getsockname()[1])
        with pytest.raises(BrokerUnavailableError) as caught:
            probe.version(kind, url, timeout_s=0.3)
    assert "topsecret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_forced_url_that_is_not_set_leaves_the_broker_missing(own_state: Path) -> None:
    with acquire(["redis"], provider="url", install=False) as fleet:
        assert "REDIS_URL is not set" in fleet.missing["redis"]


def test_the_provider_can_be_chosen_for_each_broker(
    users_server: Callable[[BrokerKind], Broker],
) -> None:
    users_server("redis")
    users_server("memcached")
    with acquire(["redis", "memcached"], provider={"redis": "native"}, install=False) as fleet:
        assert fleet.brokers["redis"].provider == "native"
        assert fleet.brokers["memcached"].provider == "url"


def test_the_status_names_a_server_that_does_not_answer(
    own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AMQP_URL", UNUSABLE["rabbitmq"].format(ports.free_port()))
    shown = next(s for s in status() if s.kind == "rabbitmq" and s.provider == "url")
    assert "refused" in shown.problem
    assert "topsecret" not in shown.masked_url + shown.problem
