"""At-least-once is kept only where what a consumer did not finish comes again, and that is shown."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ipclab.backends import registry
from ipclab.checks.verify import check
from ipclab.history import read
from tests.support import unredelivered
from tests.support.crashes import play, safety_of

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left", "known")]
QUICK = {"grace_s": 0.4, "drain_s": 0.2}


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """These channels are backends for this test."""
    every = {**unredelivered.CHANNELS, **registry._channels()}
    monkeypatch.setattr(registry, "_channels", lambda: every)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    yield
    assert not list(tmp_path.glob("ipclab-*"))


@pytest.mark.parametrize("moment", ["idle", "busy", "working"])
@pytest.mark.parametrize("backend", unredelivered.CHANNELS)
def test_at_least_once_is_broken_where_a_killed_consumer_s_message_never_comes_again(
    backend: str, moment: str, tmp_path: Path
) -> None:
    path = tmp_path / "history.jsonl.gz"
    safety = safety_of(play(backend, f"kill consumer, {moment}", **QUICK, history=path))

    assert safety.verdict == "invalid"
    # What was claimed and not yet read when it died is lost as well.
    assert safety.counts["lost"] >= safety.counts["unacknowledged"] > 0
    verdict = check(read(path))
    assert (verdict.verdict, verdict.anomalies) == ("invalid", {"lost": safety.counts["lost"]})
    assert any("never acknowledged" in note for note in verdict.notes)
