"""A shell completes commands, options, backends, experiments and stored runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.program import ONE_TRIAL, Ipclab


def completed(ipclab: Ipclab, words: str) -> list[str]:
    ended = ipclab(
        _IPCLAB_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1)
    )
    assert (ended.code, ended.err) == (0, "")
    return [line.partition(",")[2] for line in ended.out.splitlines() if line]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("ipclab rep", ["report"]),
        ("ipclab run late", ["latency"]),
        ("ipclab run --ba", ["--backend"]),
        ("ipclab run -b redis-l", ["redis-list", "redis-list-reliable"]),
        ("ipclab run -b val", ["value"]),
    ],
)
def test_names_are_completed(ipclab: Ipclab, words: str, found: list[str]) -> None:
    assert completed(ipclab, words) == found


def test_stored_runs_are_completed(ipclab: Ipclab, here: Path) -> None:
    assert completed(ipclab, "ipclab show ") == []
    ipclab(*ONE_TRIAL)
    (run,) = (here / "results" / "round_trip").iterdir()
    assert completed(ipclab, "ipclab show ") == ["latest", "round_trip", f"round_trip/{run.name}"]
    assert completed(ipclab, "ipclab report round_trip/") == [f"round_trip/{run.name}"]
