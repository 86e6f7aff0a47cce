"""The address on which private servers listen."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipclab.brokers import kinds
from ipclab.brokers.kinds import listening
from ipclab.errors import UsageError


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("broker.example", "is no IPv4 address"),
        ("0.0.0.0", "name the one address"),
        ("192.0.2.1", "this machine has no such address"),
    ],
)
def test_only_an_address_of_this_machine_is_taken(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        listening.parse(text)


@pytest.mark.parametrize("kind", ["redis", "rabbitmq"])
def test_a_private_server_listens_on_the_chosen_address_with_a_password(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "@127.0.0.1:" in kinds.get(kind).plan("server", tmp_path).url
    monkeypatch.setenv(listening.VARIABLE, listening.parse("127.0.0.2"))
    plan = kinds.get(kind).plan("server", tmp_path)
    login, _, place = plan.url.rpartition("@")
    assert place.startswith("127.0.0.2:")
    assert len(login.rpartition(":")[2]) >= 32
    (settings,) = [p for p in tmp_path.glob("*.conf") if p.name in ("redis.conf", "rabbitmq.conf")]
    assert "127.0.0.2" in settings.read_text()
    assert "127.0.0.1" not in settings.read_text()
