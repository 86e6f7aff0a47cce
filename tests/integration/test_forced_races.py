"""Every discipline of every face, made to interleave: the unsafe ones race each time, the safe ones never."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from ipclab import history
from ipclab.backends.base import BrokerKind, Face
from ipclab.backends.registry import Variant, is_own, shared_class
from ipclab.brokers import Broker
from ipclab.checks import verify
from ipclab.conform import modes
from ipclab.experiment import Request
from ipclab.host.start_methods import StartMethod
from ipclab.trial.record import Safety
from ipclab.trial.runner import run_trial
from ipclab.trial.scenes import forced_race
from ipclab.trial.spec import TrialSpec

pytestmark = [pytest.mark.timeout(60, method="signal"), pytest.mark.usefixtures("nothing_left")]

BrokerOf = Callable[[BrokerKind], Broker]
TIMES = 3
HARM = {"counter": "lost-update", "lock": "two-holders"}
HARM_OF_REGISTER = {"value": "corrupted", "redis:discipline=cached": "stale-read"}


def own(variants: list[Variant]) -> list[Variant]:
    return [variant for variant in variants if is_own(variant.name)]


SHARED: list[tuple[Face, Variant]] = [
    *(("counter", variant) for variant in own(Request().counters())),
    *(("register", variant) for variant in own(Request().registers())),
    *(("lock", variant) for variant in own(Request().mutexes())),
]  # type: ignore[list-item]


def force(
    broker_of: BrokerOf,
    face: Face,
    variant: Variant | str,
    *,
    kept: Path | None = None,
    start_method: StartMethod = "fork",
) -> Safety:
    backend = Variant.parse(variant) if isinstance(variant, str) else variant
    spec = TrialSpec(
        workload="forced", scenario=face, backend=backend, producers=2, start_method=start_method
    )
    kind = shared_class(face, backend).broker
    record = run_trial(
        spec,
        namespace=f"ipclab:test-{secrets.token_hex(4)}",
        broker=broker_of(kind) if kind else None,
        history=kept,
    )
    assert (record.outcome, record.reason) == ("finished", "")
    assert record.safety is not None
    return record.safety


@pytest.mark.parametrize(("face", "variant"), SHARED, ids=lambda value: str(value))
def test_a_discipline_races_each_time_that_it_is_forced_to_unless_it_is_safe(
    broker_of: BrokerOf, face: Face, variant: Variant
) -> None:
    safe = modes.shared(face, variant).safe
    harm = HARM.get(face) or HARM_OF_REGISTER.get(
        str(variant), HARM_OF_REGISTER.get(variant.name, "lost-update")
    )
    slow = variant.name == "memcached" and face == "lock" and variant.options["discipline"] != "get-set"
    for _ in range(1 if slow else TIMES):
        safety = force(broker_of, face, variant)
        assert safety.anomalies == ({} if safe else {harm: 1})
        assert safety.shown is not safe
        assert (safety.verdict, safety.broken) == ("valid", [])
        assert bool(safety.counterexample) is not safe


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
@pytest.mark.parametrize("face", ["counter", "register", "lock"])
def test_a_race_can_be_forced_with_every_start_method(
    broker_of: BrokerOf, face: Face, start_method: StartMethod
) -> None:
    assert force(broker_of, face, "manager-dict:discipline=naive", start_method=start_method).shown


def test_the_history_that_is_kept_shows_the_same_to_anybody(broker_of: BrokerOf, tmp_path: Path) -> None:
    kept = tmp_path / "histories" / "0003.jsonl.gz"
    kept.parent.mkdir()
    safety = force(broker_of, "counter", "manager-dict:discipline=naive", kept=kept)
    assert safety.history == "histories/0003.jsonl.gz"
    found = verify.check(history.read(kept))
    assert (found.verdict, found.anomalies) == ("invalid", {"lost-update": 1})
    assert "process 0" in safety.counterexample


def test_the_history_of_a_lock_that_frees_itself_shows_the_pause_of_its_holder(
    broker_of: BrokerOf, tmp_path: Path
) -> None:
    kept = tmp_path / "histories" / "0000.jsonl.gz"
    kept.parent.mkdir()
    safety = force(broker_of, "lock", "redis:discipline=set-nx,ttl_ms=150", kept=kept)
    (fault,) = history.read(kept).faults
    assert (fault.f, fault.value) == ("pause", "process 0")
    assert fault.start_ns is not None
    assert fault.end_ns is not None
    assert fault.end_ns - fault.start_ns > 0
    assert 'pause "process 0"' in safety.counterexample


def test_what_a_fenced_lock_guards_refuses_the_holder_that_was_stopped(
    broker_of: BrokerOf, tmp_path: Path
) -> None:
    kept = tmp_path / "histories" / "0000.jsonl.gz"
    kept.parent.mkdir()
    safety = force(broker_of, "lock", "redis:discipline=fenced", kept=kept)
    assert safety.counts == {"refused": 1}
    whole = history.read(kept)
    uses = [whole.operation(int(i)) for i in whole.places("acquire")]
    assert sorted((op.process, op.outcome, op.value) for op in uses) == [(0, "fail", None), (1, "ok", 2)]


@pytest.mark.parametrize(
    ("face", "backend", "finding"),
    [
        ("counter", "value:discipline=naive", "both read before either wrote; the counter shows 1"),
        ("counter", "value:discipline=locked", "the second had to wait until the first had written"),
        ("counter", "redis:discipline=watch", "both read before either wrote, and the second noticed"),
        ("counter", "pipe:discipline=owner", "its backend says that an increment is one step"),
        ("register", "value:discipline=naive", "a read in the middle of the write of 1 found [1, 0]"),
        ("register", "value:discipline=locked", "the reader had to wait until the write was done"),
        ("register", "redis:discipline=cached", "a read after the write of 1 found 0"),
        ("register", "memcached:discipline=cas", "both read before either wrote, and the second noticed"),
        ("lock", "value:discipline=naive", "both found the lock free before either took it"),
        ("lock", "value:discipline=lock", "the second had to wait until the first, which was stopped"),
        ("lock", "redis:discipline=set-nx", "the lock freed itself while its holder was stopped"),
    ],
)
def test_the_finding_says_how_a_discipline_fares(
    broker_of: BrokerOf, face: Face, backend: str, finding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if finding.endswith("noticed"):
        # These keep nobody out, so that however slow the second is, it must not be taken for waiting.
        monkeypatch.setattr(forced_race, "WAIT_S", 20.0)
    assert force(broker_of, face, backend).finding.startswith(finding)
