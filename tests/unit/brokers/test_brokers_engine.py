"""Which addresses of a Docker engine are used, and what is said of the others."""

from __future__ import annotations

import shutil

import pytest

from ipclab.brokers import engine
from ipclab.errors import BrokerUnavailableError


@pytest.mark.parametrize(
    ("host", "says"),
    [
        ("npipe:////./pipe/docker_engine", "a named pipe, which only Windows has"),
        ("ssh://user@elsewhere.example", "on another machine"),
        ("tcp://192.0.2.1:2375", "on another machine"),
        ("192.0.2.1:2375", "tcp://192.0.2.1:2375 is on another machine"),
        ("unix:///no/such/socket", "no Docker engine answers"),
        # Nothing listens there, which is found out only where the address was understood.
        ("127.0.0.1:1", "tcp://127.0.0.1:1 refuses"),
    ],
)
def test_an_engine_that_cannot_be_used_is_told_by_its_address(
    host: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: "/usr/bin/docker")
    monkeypatch.setenv("DOCKER_HOST", host)
    with pytest.raises(BrokerUnavailableError, match=says) as caught:
        engine.find()
    assert "\n" not in str(caught.value)
