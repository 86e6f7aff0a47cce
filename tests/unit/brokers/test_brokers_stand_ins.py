"""A server that speaks the protocol of another kind, chosen by ``--server`` or the environment."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipclab.brokers import acquire, stand_ins
from ipclab.errors import UnknownNameError, UsageError


def test_a_server_that_speaks_the_protocol_can_stand_in() -> None:
    assert stand_ins.parse("redis=valkey") == {"redis": "valkey"}
    assert stand_ins.parse("redis=redis, ") == {"redis": "redis"}
    assert stand_ins.parse("") == {}


@pytest.mark.parametrize("text", ["redis=memcached", "memcached=valkey", "redis"])
def test_no_other_server_can(text: str) -> None:
    with pytest.raises(UsageError):
        stand_ins.parse(text)


def test_an_unknown_name_gets_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="valkey"):
        stand_ins.parse("redis=walkey")


def test_what_is_missing_is_the_server_that_was_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path))
    monkeypatch.setenv(stand_ins.VARIABLE, "redis=valkey")
    monkeypatch.delenv("VALKEY_URL", raising=False)
    monkeypatch.setenv("REDIS_URL", "redis://127.0.0.1:1")
    with acquire(["redis"], provider="url") as fleet:
        assert set(fleet.missing) == {"redis"}, "backends ask for a Redis"
        assert "VALKEY_URL" in fleet.missing["redis"]
