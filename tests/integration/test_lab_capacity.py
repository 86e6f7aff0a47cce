"""A whole capacity run on a channel of known capacity: what is stored, shown and told by the exit code."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from ipclab import lab
from ipclab.backends import registry
from ipclab.backends.base import Channel, Consumer
from ipclab.backends.local.pipe import PipeChannel
from ipclab.backends.local.queue import QueueChannel
from ipclab.backends.registry import Variant
from ipclab.exit_codes import ExitCode
from ipclab.experiment import Request, load
from ipclab.report.formats import formatted
from ipclab.report.look import Look
from ipclab.results import store
from ipclab.results.capacity import capacities
from ipclab.results.result import Result
from ipclab.results.searches import machine
from ipclab.results.store import Store
from ipclab.results.verdict import exit_code
from ipclab.trial.record import TrialRecord
from ipclab.trial.spec import TrialSpec

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(120, method="signal"),
    pytest.mark.usefixtures("nothing_left"),
]
PER_S = 2000.0


class _Metered(Consumer):
    """Hands over at most ``PER_S`` messages a second, however late it was woken."""

    def __init__(self, inner: Consumer) -> None:
        self._inner = inner
        self._free_s = 0.0

    def receive(self) -> Sequence[bytes]:
        bodies = self._inner.receive()
        self._free_s = max(self._free_s, time.perf_counter()) + len(bodies) / PER_S
        while (left_s := self._free_s - time.perf_counter()) > 0:
            time.sleep(left_s)
        return bodies


class MeteredChannel(QueueChannel):
    """A queue whose consumer takes a fixed time for each message."""

    name = "metered"

    def consumer(self, index: int) -> Consumer:
        return _Metered(super().consumer(index))


@pytest.fixture(autouse=True)
def _known_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    channels: dict[str, type[Channel]] = {"metered": MeteredChannel, "pipe": PipeChannel}
    monkeypatch.setattr(registry, "_channels", lambda: channels)


def request() -> Request:
    return Request(backends=(Variant("metered"),))


def test_no_rate_above_the_capacity_of_a_channel_holds(tmp_path: Path) -> None:
    """A busy machine may make a lower rate fail, but no machine makes a higher one hold."""
    outcome = lab.run(load("capacity"), request(), store=Store(tmp_path), options={"backends": "metered"})
    stored = store.read(outcome.folder / "result.json")
    assert stored == outcome.result
    assert stored.complete
    assert Store(tmp_path).find("capacity") == outcome.folder / "result.json"
    alone = machine(stored.trials)
    assert alone is not None
    if alone.fails:
        assert exit_code(stored) == ExitCode.UNKNOWN
        assert "This machine alone" in formatted(stored, "table")
        return
    (row,) = capacities(stored.trials)
    assert row.peak_per_s is not None
    assert row.peak_per_s <= PER_S * 1.1
    # A trial of 0.5 s at 1.19 times the capacity has a queue of 80 ms at its end, and the limit is 10 ms.
    assert (row.low_per_s or 0.0) <= PER_S * 1.05
    assert row.verdict in ("kept", "unknown")
    known = row.low_per_s is not None or row.high_per_s is not None
    assert exit_code(stored) == (ExitCode.SUCCESS if known else ExitCode.UNKNOWN)
    for format_ in ("table", "json", "csv", "md", "html"):
        assert "metered" in formatted(stored, format_)
    assert "metered" in formatted(stored, "table", Look(brief=True))
    assert not _ranked(stored)


def _ranked(result: Result) -> list[str]:
    return [row.name for row in capacities(result.trials) if row.rank is not None]


class _Stopping(lab.Observer):
    """Interrupts the run when its second trial begins."""

    def note(self, line: str) -> None:
        pass

    def starting(self, number: int, total: int, spec: TrialSpec, seconds_left: float) -> None:
        assert total >= number
        if number == 2:
            raise KeyboardInterrupt

    def finished(self, record: TrialRecord) -> None:
        pass


def test_an_interrupted_search_keeps_its_trials_and_can_be_shown(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        lab.run(load("capacity"), request(), store=Store(tmp_path), observer=_Stopping())
    stored = Store(tmp_path).load("capacity")
    assert not stored.complete
    assert next(trial.spec.study.part for trial in stored.trials if trial.spec.study) == "machine"
    assert len(stored.trials) == 1
    assert "PARTIAL" in formatted(stored, "table")
