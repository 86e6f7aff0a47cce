"""One profile for all property tests: a slow machine is no failure. And fixtures that several rooms share."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

from ipclab.faults.proxy.handle import Proxy
from tests.support.proxies import PATIENCE_S, Connect, echo_server
from tests.support.records import Make

settings.register_profile("ipclab", deadline=None, max_examples=50)
settings.load_profile("ipclab")


@pytest.fixture
def make() -> Make:
    """Makes records of trials, and results of them."""
    return Make()


@pytest.fixture(scope="module")
def echo_port() -> Iterator[int]:
    """The port of a server that sends back what it is sent."""
    with echo_server() as port:
        yield port


@pytest.fixture
def proxy(echo_port: int, nothing_left: None) -> Iterator[Proxy]:
    """A proxy before the echo server."""
    with Proxy("127.0.0.1", echo_port, "fork") as proxy:
        yield proxy


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Makes clients of a proxy."""
    clients: list[socket.socket] = []

    def make(proxy: Proxy) -> socket.socket:
        client = socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()
