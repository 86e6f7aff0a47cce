"""A run of claims is kept as evidence and timeline; all else is derived from the claims' files again."""

from __future__ import annotations

import datetime
from pathlib import Path

import msgspec
import pytest

from ipclab.claims import catalogue, keep
from ipclab.claims.outcome import Measured, Run, conditions, new_run, settle
from ipclab.claims.page import make_pages
from ipclab.claims.timeline import Event
from ipclab.errors import ResultsError
from tests.support.documents import CHECKOUT

NAME = "map_results"
CLAIMS = catalogue.load_all()
KEPT = sorted((CHECKOUT / "docs" / "claims").glob("*.json"))


@pytest.fixture(scope="module")
def run() -> Run:
    return keep.read(KEPT[0])


def test_what_is_kept_is_less_than_a_third_of_a_run_in_full(run: Run) -> None:
    full = msgspec.json.format(msgspec.json.encode(run))
    assert len(keep.text(run).encode()) < len(full) / 3


def test_a_run_that_was_kept_is_the_same_again(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text(keep.text(run))

    assert keep.read(path) == run


def test_a_run_in_full_and_one_as_evidence_make_the_same_pages(run: Run, tmp_path: Path) -> None:
    full, kept = tmp_path / "full.json", tmp_path / "kept.json"
    full.write_bytes(msgspec.json.encode(run))
    kept.write_text(keep.text(run))

    assert make_pages([keep.read(full)], CLAIMS) == make_pages([keep.read(kept)], CLAIMS)


@pytest.mark.parametrize(
    "measured",
    [
        Measured(not_run="no such system", seconds=0.5),
        Measured(failure="it fell over", timeline=[Event(0.125, "main", "begins")]),
    ],
    ids=["not run", "failed"],
)
def test_why_there_is_no_verdict_is_kept(measured: Measured, tmp_path: Path) -> None:
    outcome = settle(NAME, CLAIMS[NAME], measured)
    run = new_run(conditions({}), [outcome], datetime.datetime.now(datetime.UTC).isoformat())
    path = tmp_path / "kept.json"
    path.write_text(keep.text(run))

    assert keep.read(path).outcomes == [outcome]


def test_evidence_of_another_experiment_is_refused(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "kept.json"
    path.write_text(keep.text(run).replace('"lost_with":', '"lost_then":'))

    with pytest.raises(ResultsError, match=r"other evidence of mutex.*run it again"):
        keep.read(path)


def test_a_stored_run_of_somebody_else_steers_no_terminal_and_is_not_endless(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("[" * 100_000)
    with pytest.raises(ResultsError, match="is no run of claims"):
        keep.read(path)
    kept = KEPT[0].read_text()
    assert "ValueError: semaphore" in kept
    path.write_text(kept.replace("ValueError: semaphore", "ValueError: \\u001b[31m semaphore"))
    (one,) = (outcome for outcome in keep.read(path).outcomes if outcome.name == "semaphore")
    assert "\x1b" not in str(msgspec.to_builtins(one))
    assert "\\x1b[31m semaphore" in msgspec.json.encode(one).decode()
