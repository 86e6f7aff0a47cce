"""A server that sends without end, or a byte now and then, neither fills memory nor holds a probe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ipclab.brokers import kinds
from ipclab.errors import BrokerUnavailableError

FAR_TOO_MUCH = 128 << 20
PIECE = b"x" * (1 << 16)

Serve = Callable[[bytes, bool], tuple[int, list[int]]]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Start a server that answers with these bytes and then floods or drips; its port, and what it sent."""
    over = threading.Event()
    opened: list[socket.socket] = []

    def answer(link: socket.socket, first: bytes, flood: bool, sent: list[int]) -> None:
        with link:
            try:
                link.sendall(first)
                while sent[0] < FAR_TOO_MUCH and not over.wait(0 if flood else 0.2):
                    link.sendall(PIECE if flood else b"x")
                    sent[0] += len(PIECE) if flood else 1
            except OSError:
                pass

    def accept(listener: socket.socket, first: bytes, flood: bool, sent: list[int]) -> None:
        while not over.is_set():
            try:
                link, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(link, first, flood, sent), daemon=True).start()

    def start(first: bytes, flood: bool) -> tuple[int, list[int]]:
        listener = socket.create_server(("127.0.0.1", 0))
        opened.append(listener)
        sent = [0]
        threading.Thread(target=accept, args=(listener, first, flood, sent), daemon=True).start()
        port = listener.getsockname()[1]
        assert isinstance(port, int)
        return port, sent

    yield start
    over.set()
    for listener in opened:
        listener.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("flood", [True, False], ids=["floods", "drips"])
@pytest.mark.parametrize(
    ("kind", "url", "first"),
    [
        ("redis", "redis://127.0.0.1:{}", b"+"),
        ("redis", "redis://127.0.0.1:{}", b"$999999999\r\n"),
        ("rabbitmq", "amqp://127.0.0.1:{}", b"\x01\x00\x00\x7f\xff\xff\xff"),
        ("memcached", "memcached://127.0.0.1:{}", b"VERSION "),
        ("memcached", "memcached://user:password@127.0.0.1:{}", b""),
    ],
)
def test_a_server_that_never_ends_its_answer_is_left_soon(
    serve: Serve, kind: str, url: str, first: bytes, flood: bool
) -> None:
    port, sent = serve(first, flood)
    with pytest.raises(BrokerUnavailableError) as refused:
        kinds.get(kind).version(url.format(port), 1.0)
    assert len(str(refused.value).splitlines()) == 1
    assert sent[0] < FAR_TOO_MUCH
