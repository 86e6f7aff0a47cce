"""A worker that ends in the middle of ``close()``, in any way, is never called kept."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Consumer, Producer
from ipclab.backends.local.counter import ValueCounter
from ipclab.backends.local.mutex import ValueMutex
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.local.register import ValueRegister
from ipclab.results.verdict import of_trial
from tests.support.hostile import run
from tests.support.processes import crash

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120, method="signal"),
    pytest.mark.usefixtures("nothing_left"),
]


class ClosingProducer(Producer):
    def __init__(self, inner: Producer, ends: Callable[[], object]) -> None:
        self._inner, self._ends = inner, ends

    def send(self, body: bytes) -> None:
        self._inner.send(body)

    def close(self) -> None:
        self._inner.close()
        self._ends()


class ClosingConsumer(Consumer):
    def __init__(self, inner: Consumer, ends: Callable[[], object]) -> None:
        self._inner, self._ends = inner, ends

    def receive(self) -> Any:
        return self._inner.receive()

    def close(self) -> None:
        self._inner.close()
        self._ends()


class CrashingChannel(SimpleQueueChannel):
    """Ends its worker in ``close()`` of one end."""

    name = "hostile"
    ends: Callable[[], object]
    end: str

    def producer(self, index: int) -> Producer:
        inner = super().producer(index)
        return ClosingProducer(inner, type(self).ends) if type(self).end == "producer" else inner

    def consumer(self, index: int) -> Consumer:
        inner = super().consumer(index)
        return ClosingConsumer(inner, type(self).ends) if type(self).end == "consumer" else inner


def interrupt() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("workload", ["stream", "paced", "order"])
@pytest.mark.parametrize("end", ["producer", "consumer"])
@pytest.mark.parametrize(
    ("ends", "says"),
    [
        (crash, "was killed by SIGSEGV"),
        (lambda: os._exit(7), "ended with exit code 7"),
        (lambda: os._exit(0), "ended with exit code 0 in the middle"),
        (sys.exit, "SystemExit"),
        (interrupt, "KeyboardInterrupt"),
    ],
)
def test_a_crash_in_close_is_never_kept(
    monkeypatch: pytest.MonkeyPatch, workload: str, end: str, ends: Callable[[], object], says: str
) -> None:
    monkeypatch.setattr(registry, "_channels", lambda: {"hostile": CrashingChannel})
    monkeypatch.setattr(CrashingChannel, "ends", staticmethod(ends), raising=False)
    monkeypatch.setattr(CrashingChannel, "end", end, raising=False)
    record = run(workload, **({"rate_per_s": 100.0} if workload == "paced" else {}))
    if workload == "order":
        assert record.safety is not None
        assert record.safety.verdict == "unknown"
        assert says in record.safety.gave_up[f"{end}-0"]
    else:
        assert record.outcome == "failed"
        assert record.reason.startswith(f"{end}-0")
        assert says in record.reason


class _Crashing:
    """Makes the last client of a counter, register or lock end its process when it closes."""

    ends: Callable[[], object]

    def client(self, index: int) -> Any:
        made = super().client(index)  # type: ignore[misc]
        made.close = type(self).ends if index else made.close
        return made


FACES: dict[str, tuple[type[Any], str]] = {
    "counter": (ValueCounter, "_counters"),
    "register": (ValueRegister, "_registers"),
    "lock": (ValueMutex, "_mutexes"),
}
WORSE = [(crash, "was killed by SIGSEGV"), (lambda: os._exit(0), "ended with exit code 0")]


@pytest.mark.parametrize("face", FACES)
@pytest.mark.parametrize(("ends", "says"), WORSE)
def test_a_crash_in_close_of_a_client_of_shared_state_is_never_kept(
    monkeypatch: pytest.MonkeyPatch, face: str, ends: Callable[[], object], says: str
) -> None:
    plain, known = FACES[face]
    kind = type("Crashing", (_Crashing, plain), {"name": "hostile", "ends": staticmethod(ends)})
    monkeypatch.setattr(registry, known, lambda: {"hostile": kind})
    record = run(face, producers=2, **({} if face == "counter" else {"warmup_s": 0.05}))
    assert record.outcome == "failed"
    assert says in record.reason
    assert of_trial(record) == "failed"


@pytest.mark.parametrize("end", ["producer", "consumer"])
@pytest.mark.parametrize(("ends", "says"), WORSE)
def test_a_crash_in_close_of_a_ping_pong_is_never_kept(
    monkeypatch: pytest.MonkeyPatch, end: str, ends: Callable[[], object], says: str
) -> None:
    monkeypatch.setattr(registry, "_channels", lambda: {"hostile": CrashingChannel})
    monkeypatch.setattr(CrashingChannel, "ends", staticmethod(ends), raising=False)
    monkeypatch.setattr(CrashingChannel, "end", end, raising=False)
    record = run("ping-pong")
    assert record.outcome == "failed"
    assert says in record.reason
