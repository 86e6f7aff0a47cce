"""A private server obeys nobody on this machine who does not know its password, also through a proxy."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from ipclab.backends.base import BrokerKind
from ipclab.brokers import acquire, kinds, probe
from ipclab.faults.proxy.handle import Proxy
from tests.support.servers import answers, require_server

WITHIN_S = 60.0
ORDERS: dict[BrokerKind, tuple[bytes, bytes]] = {
    "memcached": (b"flush_all\r\n", b"unauthenticated"),
    "redis": (b"FLUSHALL\r\n", b"NOAUTH"),
}
"""What would empty a server, and the word with which the server refuses it."""


@pytest.mark.parametrize("kind", ORDERS)
def test_a_private_server_obeys_nobody_without_its_password(own_state: Path, kind: BrokerKind) -> None:
    require_server(kind)
    order, refusal = ORDERS[kind]
    with acquire([kind], provider="native", install=False) as fleet:
        url = fleet.brokers[kind].url
        host, port = kinds.get(kind).address(url)
        assert host is not None
        with Proxy(host, port, "fork") as proxy:
            for way in (port, proxy.port):
                with pytest.raises(probe.LoginRefusedError):
                    probe.version(kind, f"{kind}://{host}:{way}")
                with socket.create_connection((host, way), WITHIN_S) as stranger:
                    stranger.sendall(order)
                    assert refusal in stranger.recv(200)
        assert answers(fleet.brokers[kind])
