"""What is asked before a run: a backend of another package may answer anything, and ends no run by it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest

from ipclab import readiness
from ipclab.backends import registry
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.brokers import kinds
from ipclab.brokers.kinds.state import ServerState
from ipclab.brokers.url import UrlBroker
from ipclab.errors import BrokerUnavailableError
from ipclab.trial.spec import TrialSpec


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda: "no right to\nXADD \x1b[31m", "no right to XADD \\x1b[31m"),
        (lambda: None, "other: lacks() returned None; the contract allows a str"),
        (lambda: 5, "other: lacks() returned int 5; the contract allows a str"),
        (lambda: 1 // 0, "its constructor or lacks() raised ZeroDivisionError: "),
        (lambda: sys.exit(0), "its constructor or lacks() raised SystemExit: it called sys.exit(0)"),
    ],
)
def test_a_wrong_answer_to_what_a_backend_lacks_leaves_out_that_backend_only(
    monkeypatch: pytest.MonkeyPatch, answer: Callable[[], object], said: str
) -> None:
    class Other(SimpleQueueChannel):
        name = "other"
        broker = "redis"

        def lacks(self) -> str:
            return answer()  # type: ignore[return-value]

    class Fine(SimpleQueueChannel):
        name = "fine"
        broker = "redis"

    monkeypatch.setattr(registry, "_channels", lambda: {"other": Other, "fine": Fine})
    broker = UrlBroker("redis", "redis://127.0.0.1:1/0", "7", "REDIS_URL")
    trials = [TrialSpec(workload="stream", backend=Variant(name)) for name in ("other", "fine")]
    (refused,) = readiness._refused(trials, {"redis": broker})
    assert refused.backend == "other"
    assert refused.reason.startswith(said)


@pytest.mark.parametrize("call", ["describe", "room"])
def test_an_error_of_a_foreign_kind_of_server_is_one_line_with_the_call(
    monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def fail(*_: object) -> object:
        raise ValueError("two\nlines")

    kind = type(kinds.get("redis"))
    monkeypatch.setattr(kind, "describe", lambda *_: ServerState())
    monkeypatch.setattr(kind, call, fail)
    broker = UrlBroker("redis", "redis://127.0.0.1:1/0", "7", "REDIS_URL")
    trial = TrialSpec(workload="stream", backend=Variant("redis-list"))
    said = rf"Redis at redis://127\.0\.0\.1:1/0: {call}\(\) of its kind raised ValueError: two lines"
    ask = {
        "describe": lambda: readiness._check_server(broker, [trial]),
        "room": lambda: readiness._fit_one(broker, trial, may_evict=False),
    }[call]
    with pytest.raises(BrokerUnavailableError, match=said):
        ask()
