"""Kinds of servers that a run wants and nobody has."""

from __future__ import annotations

from pathlib import Path

import pytest

from ipclab.brokers import acquire


def test_a_kind_that_no_package_brings_is_missing_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("IPCLAB_STATE_DIR", str(tmp_path))
    with acquire(["zzz"]) as fleet:
        assert not fleet.brokers
        assert "zzz" in fleet.missing["zzz"]
        assert "redis" in fleet.missing["zzz"], "the known ones are listed"
