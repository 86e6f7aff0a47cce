"""``ipclab compare`` and ``ipclab trend`` on stored results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ipclab.results.result import Result
from tests.support.program import Ipclab
from tests.support.records import Make

MAKE = Make()
LEVELS = (1000.0, 1010.0, 990.0, 1005.0, 995.0, 1002.0, 998.0, 1012.0)


def store(here: Path, moment: str, factor: float = 1.0, **fields: Any) -> None:
    """Store a run whose messages cost less by this factor."""
    trials = [
        MAKE.stream("pipe", level * factor * (1 + place * 1e-5), repeat=place, **fields)
        for place, level in enumerate(LEVELS)
    ]
    write(here, moment, MAKE.result(trials, began_utc=moment, ended_utc=moment))


def write(here: Path, moment: str, result: Result) -> None:
    folder = here / "results" / "comparison" / moment
    folder.mkdir(parents=True)
    (folder / "result.json").write_bytes(msgspec.json.encode(result))


def test_0_nothing_is_worse(ipclab: Ipclab, here: Path) -> None:
    store(here, "20260101T000000Z")
    store(here, "20260102T000000Z")
    ended = ipclab("compare", "comparison/20260101T000000Z", "comparison/20260102T000000Z")
    assert (ended.code, ended.err) == (0, "")
    assert "NOTHING WORSE" in ended.out


def test_1_a_row_got_slower(ipclab: Ipclab, here: Path) -> None:
    store(here, "20260101T000000Z")
    store(here, "20260102T000000Z", 0.7)
    ended = ipclab("compare", "comparison/20260101T000000Z")
    assert ended.code == 1
    assert "WORSE: 2 worse" in ended.out


def test_1_a_guarantee_broke_although_the_row_got_faster(ipclab: Ipclab, here: Path) -> None:
    store(here, "20260101T000000Z")
    store(here, "20260102T000000Z", 3.0, ledger=MAKE.bad_ledger())
    ended = ipclab("compare", "comparison/20260101T000000Z", "latest", "--format", "json")
    read = json.loads(ended.out)
    assert (ended.code, read["verdict"]) == (1, "worse")
    assert read["rows"][0]["guarantee"]["new"] == "broken"
    assert [metric["word"] for metric in read["rows"][0]["metrics"]] == ["better", "better"]


def test_2_runs_that_cannot_be_compared(ipclab: Ipclab, here: Path) -> None:
    store(here, "20260101T000000Z")
    store(here, "20260102T000000Z", spec={"size_bytes": 64})
    ended = ipclab("compare", "comparison/20260101T000000Z", "comparison/20260102T000000Z")
    assert (ended.code, ended.out) == (2, "")
    assert "message size: 1 KiB → 64 B" in ended.line


def test_3_too_few_repeats_to_say(ipclab: Ipclab, here: Path) -> None:
    for moment in ("20260101T000000Z", "20260102T000000Z"):
        write(here, moment, MAKE.result([MAKE.stream("pipe", 1000.0, repeat=i) for i in range(5)]))
    ended = ipclab("compare", "comparison/20260101T000000Z")
    assert ended.code == 3
    assert "too few repeats to say: 5, and 6 are the least" in ended.out


@pytest.mark.parametrize("format_", ["md", "csv", "junit"])
def test_a_comparison_goes_into_a_file_in_any_format(ipclab: Ipclab, here: Path, format_: str) -> None:
    store(here, "20260101T000000Z")
    ended = ipclab("compare", "latest", "latest", "--format", format_, "-o", "found")
    assert (ended.code, ended.out) == (0, "")
    assert "pipe" in (here / "found").read_text()


def test_a_trend_shows_all_runs_of_an_experiment(ipclab: Ipclab, here: Path) -> None:
    for day, factor in enumerate((1.0, 1.1, 0.8), 1):
        store(here, f"2026010{day}T000000Z", factor)
    ended = ipclab("trend", "comparison")
    assert ended.code == 0
    assert "3 runs, the oldest first" in ended.out
    assert "pipe 1→1 1 KiB · goodput" in ended.out
    lines = ipclab("trend", "comparison", "--format", "csv").out.splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("time,run,ipclab,python,changes,filled,pipe_1to1_1_KiB.cpu_us")


def test_the_page_shows_the_trend_of_its_experiments_where_it_is_asked_for(
    ipclab: Ipclab, here: Path
) -> None:
    for day in (1, 2):
        store(here, f"2026010{day}T000000Z")
    assert ipclab("report", "--trend").code == 0
    assert "comparison: 2 runs over time" in (here / "report.html").read_text()
    assert ipclab("report").code == 0
    assert "over time" not in (here / "report.html").read_text()


def test_a_trend_of_nothing_is_refused(ipclab: Ipclab) -> None:
    ended = ipclab("trend", "latency")
    assert (ended.code, ended.out) == (2, "")
