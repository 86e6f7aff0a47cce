"""What the management API of a RabbitMQ tells, and to whom the login is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ipclab.backends.base import Guarantees
from ipclab.brokers.kinds.rabbitmq import facts

ANSWERS = {
    "/api/policies/one%2Ftwo": [
        {"pattern": "^ipclab:", "definition": {"max-length": 10}, "priority": 1},
        {"pattern": ".*", "definition": {"max-length": 99, "message-ttl": 5}, "priority": 0},
        {"pattern": "^other", "definition": {"expires": 1}, "priority": 9},
    ],
    "/api/vhosts/one%2Ftwo": {"default_queue_type": "quorum"},
    "/api/vhost-limits/one%2Ftwo": [{"value": {"max-queues": 50}}],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that a management API on this machine was asked for."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(ANSWERS[self.path]).encode())

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        monkeypatch.setattr(facts, "MANAGEMENT_PORT", server.server_port)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield paths
        server.shutdown()
        thread.join()


def test_the_policies_that_match_a_queue_of_the_lab_are_told_the_strongest_first(asked: list[str]) -> None:
    told = facts._by_management("amqp://u:p@127.0.0.1/one%2Ftwo")
    assert told["policies"] == "max-length=10, message-ttl=5"
    assert told["default_queue_type"] == "quorum"
    assert "max-queues" in told["limits"]


def test_a_login_that_is_protected_by_tls_is_not_sent_in_clear(asked: list[str]) -> None:
    assert facts._by_management("amqps://u:p@127.0.0.1/one%2Ftwo") == {}
    assert asked == []


@pytest.mark.parametrize(
    ("policies", "loses"), [("none", False), ("max-length=10", True), ("ha-mode=all", False)]
)
def test_only_a_policy_that_drops_messages_may_cost_some(policies: str, loses: bool) -> None:
    plain = Guarantees(
        delivery="at-least-once",
        may_lose=frozenset(),
        order="none",
        durability="disk",
        confirm="broker",
        reach="network",
    )
    assert ("overload" in facts.under(plain, {"policies": policies}).may_lose) is loses
