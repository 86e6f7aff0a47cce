"""Settings for one trial: in force, kept when the server is killed, and gone afterwards."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from ipclab.backends.redis.client import connect
from ipclab.brokers import Broker, Fleet, ProviderName, acquire
from ipclab.brokers.settings import applied
from ipclab.errors import UnknownNameError, UsageError
from tests.support.servers import forget_urls

from .conftest import require_server

AOF = {"appendonly": "yes", "appendfsync": "always"}
KEY = "ipclab:test:settings"


@pytest.fixture(scope="module", params=["native", "compose"])
def redis_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Broker]:
    """A Redis for this module, of each provider that starts one."""
    if request.param == "compose":
        request.getfixturevalue("docker_engine")
    else:
        require_server("redis")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCLAB_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        forget_urls(patch)
        with acquire(["redis"], provider=cast(ProviderName, request.param), install=False) as fleet:
            yield fleet.brokers["redis"]


def read(broker: Broker, *names: str) -> dict[str, str]:
    with connect(broker.url) as client:
        return {key: value for name in names for key, value in client.config_get(name).items()}


def keep(broker: Broker) -> None:
    with connect(broker.url) as client:
        client.set(KEY, "kept")


def is_kept(broker: Broker) -> bool:
    with connect(broker.url) as client:
        return bool(client.delete(KEY))


def data_files(broker: Broker) -> list[str]:
    folder = read(broker, "dir")["dir"]
    return [name for name in broker.execute("ls", folder).split() if "appendonly" in name]


def test_settings_are_in_force_within_the_block_and_put_back_after_it(redis_server: Broker) -> None:
    names = ("appendonly", "appendfsync", "maxmemory", "maxmemory-policy")
    before = read(redis_server, *names)
    wanted = AOF | {"maxmemory": "104857600", "maxmemory-policy": "allkeys-lru"}
    assert before != wanted
    with applied(redis_server, wanted):
        assert read(redis_server, *names) == wanted
        redis_server.kill()
        redis_server.restart()
        assert read(redis_server, *names) == wanted
    assert read(redis_server, *names) == before
    redis_server.shut_down()
    redis_server.restart()
    assert read(redis_server, *names) == before


def test_a_server_with_an_append_only_file_keeps_its_keys_when_it_is_killed_and_one_without_does_not(
    redis_server: Broker,
) -> None:
    with connect(redis_server.url) as client:
        client.set(f"{KEY}:before", "older than the file")
    with applied(redis_server, AOF):
        keep(redis_server)
        redis_server.kill()
        redis_server.restart()
        assert is_kept(redis_server)
        with connect(redis_server.url) as client:
            assert client.delete(f"{KEY}:before")
    with applied(redis_server, {"appendonly": "no"}):
        keep(redis_server)
        redis_server.kill()
        redis_server.restart()
        assert not is_kept(redis_server)


def test_the_append_only_file_is_deleted_afterwards_and_can_be_had_again(redis_server: Broker) -> None:
    for _ in range(2):
        with applied(redis_server, AOF):
            assert data_files(redis_server)
            keep(redis_server)
        assert not data_files(redis_server)
        assert is_kept(redis_server)  # turning it off takes no key from a running server


def test_a_server_that_was_killed_and_left_so_is_started_and_as_before(redis_server: Broker) -> None:
    before = read(redis_server, "appendonly")
    with applied(redis_server, AOF):
        redis_server.kill()
    assert redis_server.alive()
    assert read(redis_server, "appendonly") == before
    assert not data_files(redis_server)


def test_a_server_that_was_left_paused_goes_on_and_is_as_before(redis_server: Broker) -> None:
    with applied(redis_server, AOF):
        redis_server.pause()
    assert read(redis_server, "appendonly") == {"appendonly": "no"}


def test_an_error_in_the_block_comes_out_and_all_is_as_before(redis_server: Broker) -> None:
    with pytest.raises(ZeroDivisionError), applied(redis_server, AOF):
        1 / 0  # noqa: B018
    assert read(redis_server, "appendonly") == {"appendonly": "no"}


def test_a_value_that_the_server_refuses_is_one_clear_line_and_nothing_stays_set(
    redis_server: Broker,
) -> None:
    with (
        pytest.raises(UsageError, match="Redis refuses maxmemory-policy some-keys") as caught,
        applied(redis_server, AOF | {"maxmemory-policy": "some-keys"}),
    ):
        pytest.fail("the block was entered")
    assert "\n" not in str(caught.value)
    assert read(redis_server, "appendonly") == {"appendonly": "no"}
    assert not data_files(redis_server)


def test_an_unknown_setting_is_refused_with_the_nearest_one(redis_server: Broker) -> None:
    with pytest.raises(UnknownNameError, match="did you mean appendonly"):
        applied(redis_server, {"append-only": "yes"}).__enter__()


def test_a_value_that_would_be_more_than_one_line_is_refused(redis_server: Broker) -> None:
    with pytest.raises(UsageError, match="appendonly of Redis cannot be"):
        applied(redis_server, {"appendonly": "yes\nport 1"}).__enter__()


def test_other_brokers_have_no_settings_for_a_trial(native_fleet: Fleet) -> None:
    with pytest.raises(UsageError, match="memcached has no settings for one trial"):
        applied(native_fleet.brokers["memcached"], {"appendonly": "yes"}).__enter__()


def test_no_settings_are_nothing_to_do_for_any_broker(native_fleet: Fleet) -> None:
    for broker in native_fleet.brokers.values():
        with applied(broker, {}):
            assert broker.alive()


def test_the_settings_of_somebody_elses_server_are_left_alone(
    native_fleet: Fleet, own_state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = native_fleet.brokers["redis"]
    monkeypatch.setenv("REDIS_URL", server.url)
    with acquire(["redis"], install=False) as fleet:
        broker = fleet.brokers["redis"]
        assert broker.provider == "url"
        with pytest.raises(UsageError, match="was not started by the lab") as caught:
            applied(broker, AOF).__enter__()
        with applied(broker, {}):
            pass
    assert os.environ["REDIS_URL"] not in str(caught.value)
    assert read(server, "appendonly") == {"appendonly": "no"}
