"""A server that sends without end, or a byte now and then, neither fills memory nor holds a probe."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from ipclab.backends.redis import rights
from ipclab.brokers import kinds
from ipclab.brokers.kinds import memcached
from ipclab.brokers.kinds.rabbitmq import leftovers as rabbitmq_leftovers
from ipclab.brokers.kinds.rabbitmq import probe as rabbitmq_probe
from ipclab.brokers.kinds.redis import facts as redis_facts
from ipclab.brokers.kinds.redis import leftovers as redis_leftovers
from ipclab.brokers.kinds.redis import probe as redis_probe
from ipclab.brokers.url import UrlBroker
from ipclab.errors import BrokerUnavailableError
from ipclab.host.bounded_socket import Bounds

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


def broker(kind: str, url: str) -> UrlBroker:
    return UrlBroker(kind, url, "1", "URL")


QUESTIONS: dict[str, Callable[[str, str], object]] = {
    "version": lambda kind, url: kinds.get(kind).version(url, 1.0),
    "usage": lambda kind, url: kinds.get(kind).usage(url, 1.0),
    "describe": lambda kind, url: kinds.get(kind).describe(broker(kind, url)),
    "room": lambda kind, url: kinds.get(kind).room(url, 64),
    "losses": lambda kind, url: kinds.get(kind).losses(url),
    "remove": lambda kind, url: kinds.get(kind).remove(url, ["ipclab:1:0"]),
    "rights": lambda _, url: rights.lacking(url, "it", rights.LIST),
}
ASKED = [
    ("redis", "redis://127.0.0.1:{}", b"$999999999\r\n", ("describe", "room", "losses", "remove", "rights")),
    ("memcached", "memcached://127.0.0.1:{}", b"STAT a ", ("usage", "describe", "room", "losses")),
    ("memcached", "memcached://127.0.0.1:{}", b"VALUE x 0 999999999\r\n", ("remove",)),
    ("rabbitmq", "amqp://127.0.0.1:{}", b"\x01\x00\x00\x7f\xff\xff\xff", ("describe", "remove")),
]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little time for every question."""
    few = Bounds(most_bytes=1 << 20, within_s=1.0)
    for module in (redis_probe, redis_facts, rabbitmq_probe, rabbitmq_leftovers, memcached):
        if hasattr(module, "PROBE_TIMEOUT_S"):
            monkeypatch.setattr(module, "PROBE_TIMEOUT_S", 1.0)
    monkeypatch.setattr(redis_probe.client.__wrapped__, "__defaults__", (1.0,))  # type: ignore[attr-defined]
    for module in (redis_leftovers, rabbitmq_leftovers, memcached):
        monkeypatch.setattr(module, "REMOVAL", few)
    monkeypatch.setattr(rights, "ASKED", few)


@pytest.mark.timeout(120)
@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("flood", [True, False], ids=["floods", "drips"])
@pytest.mark.parametrize(
    ("kind", "url", "first", "question"),
    [(kind, url, first, question) for kind, url, first, questions in ASKED for question in questions],
)
def test_a_server_that_never_ends_its_answer_is_left_soon_whatever_it_was_asked(
    serve: Serve, kind: str, url: str, first: bytes, question: str, flood: bool
) -> None:
    port, sent = serve(first, flood)
    with pytest.raises(BrokerUnavailableError) as refused:
        QUESTIONS[question](kind, url.format(port))
    assert len(str(refused.value).splitlines()) == 1
    assert sent[0] < FAR_TOO_MUCH
