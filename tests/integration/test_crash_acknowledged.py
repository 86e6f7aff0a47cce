"""At-least-once is kept only where what a consumer did not finish comes again, and that is shown."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab import experiment
from ipclab.backends import registry
from ipclab.backends.registry import Variant
from ipclab.checks.verify import check
from ipclab.experiment import Request
from ipclab.faults.applicability import kind_of, reason
from ipclab.history import read
from ipclab.trial import strike
from tests.support import unredelivered
from tests.support.crashes import fault, play, play_order, safety_of

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left", "known")]
CRASH = experiment.load("crash")
QUICK = {"grace_s": 0.4, "drain_s": 0.2}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """These channels are backends for this test."""
    others = (
        unredelivered.TinyChannel,
        unredelivered.MegabyteChannel,
        unredelivered.NewestOnlyChannel,
        unredelivered.RescuingChannel,
    )
    every = {**unredelivered.CHANNELS, **{kind.name: kind for kind in others}, **registry._channels()}
    monkeypatch.setattr(registry, "_channels", lambda: every)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.glob("ipclab-*"))


@pytest.mark.parametrize("moment", ["idle", "busy", "working"])
@pytest.mark.parametrize("action", ["kill", "terminate"])
@pytest.mark.parametrize("backend", unredelivered.CHANNELS)
def test_at_least_once_is_broken_where_the_message_of_a_consumer_that_ended_never_comes_again(
    backend: str, action: str, moment: str, tmp_path: Path
) -> None:
    path = tmp_path / "history.jsonl.gz"
    safety = safety_of(play(backend, f"{action} consumer, {moment}", **QUICK, history=path))

    assert safety.verdict == "invalid"
    # What was claimed and not yet read when it died is lost as well.
    assert safety.counts["lost"] >= safety.counts["unacknowledged"] > 0
    verdict = check(read(path))
    assert (verdict.verdict, verdict.anomalies) == ("invalid", {"lost": safety.counts["lost"]})
    assert any("never acknowledged" in note for note in verdict.notes)


@pytest.mark.slow
@pytest.mark.parametrize("moment", ["idle", "busy"])
@pytest.mark.parametrize("action", ["kill", "terminate"])
def test_at_least_once_is_broken_where_only_one_of_several_unacknowledged_messages_comes_again(
    action: str, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strike, "HELD_WITHIN_S", strike.WAIT_S)
    safety = safety_of(play("newest-only", f"{action} consumer, {moment}", **QUICK))

    assert safety.verdict == "invalid"
    assert safety.counts["unacknowledged"] > 0


@pytest.mark.parametrize("moment", ["idle", "busy", "working"])
def test_at_least_once_is_kept_where_all_unacknowledged_messages_come_again(moment: str) -> None:
    safety = safety_of(play("rescuing", f"kill consumer, {moment}", **QUICK))

    assert (safety.verdict, safety.broken, safety.finding) == ("valid", [], "")
    assert safety.counts["duplicated"] >= (strike.HELD if moment == "idle" else 1)


@pytest.mark.parametrize(
    "words", ["pause producer, busy", "kill consumer, working", "terminate producer, idle"]
)
def test_a_channel_of_small_messages_is_served_with_messages_that_it_carries(words: str) -> None:
    safety = safety_of(play("tiny", words, **QUICK))

    assert (safety.verdict, safety.broken, safety.finding) == ("valid", [], "")
    assert safety.counts["confirmed"] > 50
    assert safety.counts["indefinite"] <= 1


def test_a_fault_in_mid_message_sends_no_more_than_the_channel_carries() -> None:
    safety = safety_of(play("megabyte", "pause consumer, mid-message", **QUICK))

    assert (safety.verdict, safety.broken, safety.finding, safety.gave_up) == ("valid", [], "", {})


@pytest.mark.parametrize("scenario", ["stress", "forced"])
def test_the_order_of_a_channel_of_small_messages_is_tried_with_messages_that_it_carries(
    scenario: str,
) -> None:
    safety = safety_of(play_order("tiny", scenario, **QUICK))

    assert (safety.verdict, safety.gave_up) == ("valid", {})
    assert safety.counts["attempted"] == safety.counts["confirmed"] > 0


@pytest.mark.parametrize(
    ("backend", "says"),
    [("datagram", "a datagram is handed over whole"), ("seqpacket", "32768 bytes at most are too few")],
)
def test_a_moment_that_a_channel_cannot_have_is_left_out_with_its_reason(backend: str, says: str) -> None:
    planned = [spec.fault for spec in CRASH.plan(Request(backends=(Variant(backend),))).trials]

    assert {spec.moment for spec in planned if spec} == {"idle", "busy", "working"}
    assert says in reason(fault("kill consumer, mid-message"), kind_of(Variant(backend)))


def test_a_message_that_cannot_be_caught_half_way_is_not_waited_for_long() -> None:
    began = time.monotonic()
    safety = safety_of(play("folder", "kill producer, mid-message", **QUICK))

    assert (safety.verdict, safety.finding) == (
        "unknown",
        "the moment did not occur, so the fault was not applied",
    )
    assert time.monotonic() - began < strike.ATTEMPTS * strike.WAIT_S
