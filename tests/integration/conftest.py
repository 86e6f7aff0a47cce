"""Fixtures of the provider tests: a state folder of their own, and what to do where a server is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import KINDS, Fleet, acquire, engine, install, plans
from ipclab.brokers.url import VARIABLES
from ipclab.errors import BrokerUnavailableError


def unavailable(reason: str, *, required: bool) -> None:
    """Skip with the reason on a laptop; where the servers are promised, that is a failure."""
    if required:
        pytest.fail(reason)
    pytest.skip(reason)


def require_server(*kinds: BrokerKind) -> None:
    """Skip, or with CI=true fail, where the program of one of these servers is not installed."""
    absent = [kind for kind in kinds if plans.find_program(kind) is None]
    if absent:
        unavailable(
            f"not installed: {', '.join(absent)}; get it by: {install.command(absent)}",
            required=os.environ.get("CI") == "true",
        )


@pytest.fixture
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder for the records of the lab, and no URL of any server in the environment."""
    folder = tmp_path / "state"
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(folder))
    _forget_urls(monkeypatch)
    return folder


@pytest.fixture(scope="module")
def native_fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Private servers of all kinds, shared by the tests of a module that leave them as they were."""
    require_server(*KINDS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IPCLAB_STATE_DIR", str(tmp_path_factory.mktemp("state")))
        _forget_urls(patch)
        with acquire(KINDS, provider="native", install=False) as fleet:
            assert not fleet.missing
            yield fleet


@pytest.fixture(scope="session")
def docker_engine() -> str:
    """The address of an engine with `docker compose`; a failure where the environment promises one."""
    try:
        return engine.find()
    except BrokerUnavailableError as error:
        promised = os.environ.get("CI") == "true" and os.environ.get("IPCLAB_REQUIRE_COMPOSE") == "1"
        unavailable(f"{error}; get it by installing Docker and its compose plugin", required=promised)
        raise


def _forget_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    for variables in VARIABLES.values():
        for variable in variables:
            monkeypatch.delenv(variable, raising=False)
