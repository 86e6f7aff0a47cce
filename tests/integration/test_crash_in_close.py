"""A crash of a process that the fault did not strike is told, also while it closes: nothing was kept then."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Consumer, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.results.verdict import of_trial
from ipclab.trial.record import Safety, TrialRecord
from tests.support.crashes import play, play_order, safety_of
from tests.support.processes import crash

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]


def interrupt() -> None:
    raise KeyboardInterrupt


ENDS: dict[str, tuple[Callable[[], object], str]] = {
    "a segmentation fault": (crash, "was killed by SIGSEGV"),
    "os._exit(7)": (lambda: os._exit(7), "ended with exit code 7"),
    "os._exit(0)": (lambda: os._exit(0), "ended with exit code 0 in the middle"),
    "sys.exit(0)": (lambda: sys.exit(0), "SystemExit"),
    "KeyboardInterrupt": (interrupt, "KeyboardInterrupt"),
}


@dataclass
class _Producer(Producer):
    inner: Producer
    end: Callable[[], object]

    def send(self, body: bytes) -> None:
        self.inner.send(body)

    def close(self) -> None:
        self.inner.close()
        self.end()


@dataclass
class _Consumer(Consumer):
    inner: Consumer
    end: Callable[[], object]

    def receive(self) -> Sequence[bytes]:
        return self.inner.receive()

    def close(self) -> None:
        self.inner.close()
        self.end()


def channel(role: str, end: Callable[[], object]) -> type[Any]:
    """Return a channel one of whose ends, the second one of this role, ends its process when it closes."""

    class Crashing(SimpleQueueChannel):
        name = "crashing"

        def producer(self, index: int) -> Producer:
            made = super().producer(index)
            return _Producer(made, end) if (role, index) == ("producer", 1) else made

        def consumer(self, index: int) -> Consumer:
            made = super().consumer(index)
            return _Consumer(made, end) if (role, index) == ("consumer", 1) else made

    return Crashing


def told(record: TrialRecord, role: str, words: str) -> Safety:
    safety = safety_of(record)
    assert (safety.verdict, safety.broken) == ("unknown", [])
    assert of_trial(record) == "unknown"
    assert safety.gave_up.keys() == {f"{role}-1"}
    assert words in safety.gave_up[f"{role}-1"]
    return safety


@pytest.mark.parametrize("role", ["producer", "consumer"])
@pytest.mark.parametrize("how", ENDS)
def test_a_crash_in_close_of_a_process_that_the_fault_spared_leaves_nothing_kept(
    monkeypatch: pytest.MonkeyPatch, role: str, how: str
) -> None:
    end, words = ENDS[how]
    monkeypatch.setattr(registry, "_channels", lambda: {"crashing": channel(role, end)})
    safety = told(play("crashing", f"pause {role}, busy", grace_s=1.0, drain_s=0.2), role, words)
    assert words in safety.finding
    assert f"{role}-1" in safety.finding
    assert "the fault did not strike that process" in safety.finding


@pytest.mark.parametrize("role", ["producer", "consumer"])
@pytest.mark.parametrize("how", ["a segmentation fault", "sys.exit(0)"])
def test_a_crash_in_close_leaves_no_order_kept(monkeypatch: pytest.MonkeyPatch, role: str, how: str) -> None:
    end, words = ENDS[how]
    monkeypatch.setattr(registry, "_channels", lambda: {"crashing": channel(role, end)})
    told(play_order("crashing", "stress", consumers=2, grace_s=1.0, drain_s=0.2), role, words)


@pytest.mark.parametrize("role", ["producer", "consumer"])
def test_an_error_in_close_of_either_end_is_told_and_is_no_crash(
    monkeypatch: pytest.MonkeyPatch, role: str
) -> None:
    def refuse() -> None:
        raise OSError("the connection is closed")

    monkeypatch.setattr(registry, "_channels", lambda: {"crashing": channel(role, refuse)})
    safety = safety_of(play("crashing", f"pause {role}, busy", grace_s=1.0, drain_s=0.2))
    assert (safety.verdict, safety.finding) == ("valid", "")
    assert safety.gave_up == {f"{role}-1": "OSError: the connection is closed"}
