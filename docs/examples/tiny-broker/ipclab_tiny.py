"""For ipclab: the tiny broker as a kind of server, and a channel on it."""

import os
import secrets
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import tiny_broker

from ipclab.backends.base import Channel, Consumer, Guarantees, Producer
from ipclab.brokers import programs
from ipclab.brokers.kinds.base import Launch, LoginRefusedError, Plan, ServerKind
from ipclab.errors import BrokerUnavailableError
from ipclab.host import ports


class Client:
    """One connection. Raises OSError where it is lost, BrokerUnavailableError where none can be had."""

    def __init__(self, url: str, timeout_s: float | None = None) -> None:
        at = urlsplit(url)
        where = f"the tiny broker at {at.hostname}:{at.port}"
        try:
            self.link = socket.create_connection((at.hostname, at.port), timeout=timeout_s or 5)
            self.link.settimeout(timeout_s)
            self.file = self.link.makefile("rb")
            granted = self.ask(f"PASS {at.password}") == b"ok"
        except OSError as error:
            raise BrokerUnavailableError(f"{where} does not answer: {error.strerror or error}") from error
        if not granted:
            raise LoginRefusedError(f"{where} refuses the login")

    def ask(self, line: str, body: bytes = b"") -> bytes:
        self.link.sendall(line.encode() + b"\n" + body)
        size = self.file.readline()
        found = self.file.read(int(size)) if size else b""
        if not size or len(found) < int(size):
            raise ConnectionError("the server closed the connection")
        return found

    def close(self) -> None:
        self.file.close()
        self.link.close()


class Tiny(ServerKind):
    name = "tiny"
    title = "the tiny broker"
    schemes = ("tiny",)
    variables = ("TINY_URL",)
    example_url = "tiny://:password@host:7070"
    default_port = 7070

    def find_program(self) -> str:
        return sys.executable

    def plan(self, program: str, folder: Path) -> Plan:
        port, password = ports.free_port(), secrets.token_hex(16)
        env = programs.environment(folder) | {"TINY_PASSWORD": password}
        launch = Launch((program, os.path.abspath(tiny_broker.__file__), str(port)), env)
        return Plan(f"tiny://:{password}@127.0.0.1:{port}", (launch,))

    def ask(self, url: str, line: str, timeout_s: float = 5) -> str:
        client = Client(url, timeout_s)
        try:
            return client.ask(line).decode()
        except OSError as error:
            raise self.unavailable(url, f"does not answer: {error}") from error
        finally:
            client.close()

    def version(self, url: str, timeout_s: float) -> str:
        return self.ask(url, "VERSION", timeout_s)

    def names(self, url: str) -> set[str]:
        return set(self.ask(url, "LIST").split())


class TinyProducer(Client, Producer):
    queue: str

    def send(self, body: bytes) -> None:
        self.ask(f"PUSH {self.queue} {len(body)}", body)


class TinyConsumer(Client, Consumer):
    queue: str

    def receive(self) -> list[bytes]:
        return [self.ask(f"POP {self.queue}")]


class TinyChannel(Channel):
    name, broker = "tiny-queue", "tiny"
    summary = "a queue in the tiny broker"
    guarantees = Guarantees(
        delivery="at-most-once", may_lose=frozenset({"consumer crash", "connection loss", "broker crash"}),
        order="per-producer", durability="none", confirm="broker", reach="network",
    )  # fmt: skip

    @property
    def queue(self) -> str:
        return f"{self.site.namespace}:queue"

    def setup(self) -> None:
        pass

    def producer(self, index: int) -> Producer:
        producer = TinyProducer(self.site.broker_url)
        producer.queue = self.queue
        return producer

    def consumer(self, index: int) -> Consumer:
        consumer = TinyConsumer(self.site.broker_url)
        consumer.queue = self.queue
        return consumer

    def teardown(self) -> None:
        client = Client(self.site.broker_url)
        client.ask(f"DROP {self.queue}")
        client.close()
