"""Fixtures of the provider tests: a state folder of their own, and what to do where a server is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab.brokers import KINDS, Fleet, acquire, engine
from ipclab.errors import BrokerUnavailableError
from tests.support.servers import forget_urls, require_server, unavailable

__all__ = ["require_server"]


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the records of the lab, and no URL of any server in the environment."""
    folder = tmp_path / "state"
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(folder))
    forget_urls(monkeypatch)
    return folder


@pytest.fixture(scope="session")
def native_state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the records of ``native_fleet``."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="session")
def native_fleet(native_state: Path) -> Iterator[Fleet]:
    """Private servers of all kinds, which every test leaves running and as they were: RabbitMQ takes long to
    start."""
    require_server(*KINDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCLAB_STATE_DIR", str(native_state))
        forget_urls(patch)
        fleet = acquire(KINDS, provider="native", install=False)
    with fleet:
        assert not fleet.missing
        yield fleet


@pytest.fixture
def its_state(native_fleet: Fleet, native_state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records that are read are those of ``native_fleet``."""
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(native_state))


@pytest.fixture(scope="session")
def docker_engine() -> str:
    """The address of an engine with `docker compose`; a failure where the environment promises one."""
    try:
        return engine.find()
    except BrokerUnavailableError as error:
        promised = os.environ.get("CI") == "true" and os.environ.get("IPCLAB_REQUIRE_COMPOSE") == "1"
        unavailable(f"{error}; get it by installing Docker and its compose plugin", required=promised)
        raise
