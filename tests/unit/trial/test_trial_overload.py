"""A loss is excused by what the server dropped only as far as that explains it: whole trials, no server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Guarantees, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.brokers import kinds
from ipclab.brokers.kinds.base import ServerKind
from ipclab.brokers.url import UrlBroker
from ipclab.checks.breach import texts
from ipclab.checks.verify import check
from ipclab.history.reader import read
from ipclab.trial.message import STOP
from ipclab.trial.record import TrialRecord
from ipclab.trial.runner import run_trial
from ipclab.trial.scenes.crash import WARM_UP
from ipclab.trial.spec import TrialSpec
from tests.support.crashes import play, play_order, safety_of

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(60, method="signal"),
    pytest.mark.usefixtures("nothing_left"),
]

EVERY = 10


class Evicting(ServerKind):
    """Counts so many evictions from its second answer on."""

    name = "evicting"
    title = "Evicting"
    schemes = ("evicting",)
    example_url = "evicting://host"
    default_port = 1

    def __init__(self, evicted: int, may_lose: frozenset[Any] = frozenset()) -> None:
        self.evicted, self.may_lose, self.asked = evicted, may_lose, 0

    def version(self, url: str, timeout_s: float) -> str:
        return "1"

    def losses(self, url: str) -> dict[str, int]:
        self.asked += 1
        return {"evictions": 7 if self.asked == 1 else 7 + self.evicted}

    def under(self, guarantees: Guarantees, settings: object) -> Guarantees:
        return replace(guarantees, may_lose=guarantees.may_lose | self.may_lose)


class _Losing(Producer):
    def __init__(self, inner: Producer, after: int = 0) -> None:
        self._inner, self._after, self._count = inner, after, 0

    def send(self, body: bytes) -> None:
        self._count += body != STOP
        if body == STOP or self._count <= self._after or self._count % EVERY:
            self._inner.send(body)


class LosingChannel(SimpleQueueChannel):
    """Loses every tenth message, and declares that it loses none."""

    name = "losing"
    broker = "evicting"

    def producer(self, index: int) -> Producer:
        return _Losing(super().producer(index))


class LateLosingChannel(LosingChannel):
    """Loses nothing of the warm-up of a crash trial, so that the fault of the trial is carried out."""

    def producer(self, index: int) -> Producer:
        return _Losing(SimpleQueueChannel.producer(self, index), after=WARM_UP)


class CarelessChannel(LosingChannel):
    """Declares by itself that overload may cost messages."""

    @property
    def guarantees(self) -> Guarantees:
        found = super().guarantees
        return replace(found, may_lose=found.may_lose | {"overload"})


BROKER = UrlBroker("evicting", "evicting://host", "1", "EVICTING_URL")


@pytest.fixture
def on(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the channel ``losing`` on a server that evicts so much."""

    def settle(
        evicted: int, *, channel: type = LosingChannel, may_lose: frozenset[Any] = frozenset()
    ) -> None:
        monkeypatch.setattr(registry, "_channels", lambda: {"losing": channel})
        kind = Evicting(evicted, may_lose)
        monkeypatch.setattr(kinds, "get", lambda _name: kind)

    return settle


def stream() -> TrialRecord:
    spec = TrialSpec(
        workload="stream",
        backend=Variant("losing"),
        duration_s=0.1,
        warmup_s=0.0,
        drain_s=0.2,
        grace_s=5.0,
    )
    return run_trial(spec, namespace="ipclab:unit", broker=BROKER)


def broken(record: TrialRecord) -> Sequence[str]:
    assert record.outcome == "finished", record.reason
    if record.ledger is not None:
        return texts(record.ledger.broken)
    return texts(safety_of(record).broken)


def test_a_stream_that_lost_more_than_the_server_evicted_is_broken_and_says_both(on: Any) -> None:
    on(1)
    record = stream()
    assert record.ledger is not None
    lost = record.ledger.lost
    assert lost > 1
    assert broken(record) == [f"lost {lost} confirmed messages, the server evicted 1 item during the trial"]
    assert (record.dropped, record.drops_excuse) == ({"evictions": 1}, 1)


def test_a_stream_that_lost_no_more_than_the_server_evicted_is_excused_and_declares_overload(on: Any) -> None:
    on(10**9)
    record = stream()
    assert record.ledger is not None
    assert record.ledger.lost > 1
    assert broken(record) == []
    may_lose = record.guarantees["may_lose"]
    assert isinstance(may_lose, list)
    assert "overload" in may_lose
    assert record.drops_excuse == record.ledger.attempted


def test_a_server_that_is_set_to_evict_and_evicted_nothing_excuses_nothing(on: Any) -> None:
    on(0, may_lose=frozenset({"overload"}))
    (line,) = broken(stream())
    assert line.endswith(" confirmed messages, the server evicted 0 items during the trial")


def test_a_server_that_evicts_nothing_and_is_not_set_to_is_not_spoken_of(on: Any) -> None:
    on(0)
    (line,) = broken(stream())
    assert line.endswith(" confirmed messages")


def test_a_channel_that_declares_overload_itself_is_held_to_its_own_word(on: Any) -> None:
    on(1, channel=CarelessChannel)
    record = stream()
    assert (broken(record), record.drops_excuse) == ([], None)


@pytest.mark.parametrize(
    ("evicted", "words"), [(3, ", the server evicted 3 items during the trial"), (10**6, "")]
)
def test_an_order_trial_excuses_what_the_server_evicted_and_nothing_else(
    on: Any, evicted: int, words: str
) -> None:
    on(evicted)
    record = play_order("losing", "stress", BROKER, grace_s=1.0, drain_s=0.2)
    lost = safety_of(record).counts["lost"]
    assert lost > 3
    assert record.drops_excuse == min(evicted, safety_of(record).counts["attempted"])
    assert broken(record) == ([f"lost {lost} confirmed messages{words}"] if words else [])


@pytest.mark.parametrize("channel", [LosingChannel, LateLosingChannel], ids=["before the fault", "in it"])
@pytest.mark.parametrize(("evicted", "excused"), [(3, False), (10**6, True)])
def test_a_crash_trial_excuses_what_the_server_evicted_as_its_stored_history_does(
    on: Any, tmp_path: Path, evicted: int, excused: bool, channel: type
) -> None:
    on(evicted, channel=channel)
    path = tmp_path / "histories" / "1.jsonl.gz"
    path.parent.mkdir()
    record = play("losing", "pause consumer, busy", BROKER, history=path, grace_s=1.0, drain_s=0.2)
    lost = safety_of(record).counts["lost"]
    assert lost > 3
    said = [] if excused else [f"lost {lost} confirmed messages, the server evicted 3 items during the trial"]
    assert broken(record) == said
    stored = read(path)
    assert stored.header.may_lose is excused
    assert check(stored).verdict == ("valid" if excused else "invalid")
