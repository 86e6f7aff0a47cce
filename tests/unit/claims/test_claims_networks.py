"""Two joined networks, where the system allows them: apart from this one, and gone afterwards."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from ipclab.claims import Bench
from ipclab.claims.networks import Network, joined
from tests.support.servers import unavailable

NAMESPACE = "/proc/self/ns/net"


def allowed(networks: tuple[Network, Network] | None) -> tuple[Network, Network]:
    """Skip where they are not allowed; with CI=true, where they have to be, that is a failure."""
    if networks is None:
        unavailable(
            "no network namespaces: they need iproute2 and util-linux, and root or a system that allows user "
            "namespaces (Ubuntu: sysctl kernel.apparmor_restrict_unprivileged_userns=0)"
        )
    assert networks is not None
    return networks


def inside(network: Network, *command: str) -> str:
    done = subprocess.run([*network.enter, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_without_the_tools_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, nothing_left: None
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with joined(Bench(tmp_path)) as networks:
        assert networks is None


def test_each_is_apart_from_the_other_and_from_this_one(tmp_path: Path, nothing_left: None) -> None:
    with joined(Bench(tmp_path)) as networks:
        networks = allowed(networks)
        spaces = {inside(network, "readlink", NAMESPACE) for network in networks}
        assert len(spaces | {str(Path(NAMESPACE).readlink())}) == 3


def test_their_addresses_are_on_one_cable(tmp_path: Path, nothing_left: None) -> None:
    with joined(Bench(tmp_path)) as networks:
        networks = allowed(networks)
        near, far = networks
        assert far.address in inside(far, "ip", "-brief", "address")
        assert "dev near" in inside(near, "ip", "route", "get", far.address)
