"""A comparison in each of its formats."""

from __future__ import annotations

import csv
import io
import json
from xml.etree import ElementTree

import pytest

from ipclab.compare.comparison import Comparison, compare
from ipclab.compare.limits import parse
from ipclab.compare.trend import follow
from ipclab.errors import UnknownNameError
from ipclab.host.texts import speaking
from ipclab.report.comparison.formats import COMPARISON
from ipclab.report.look import Look
from ipclab.report.trend.formats import TREND
from tests.support.digests import environment, row, run, sample


@pytest.fixture
def found() -> Comparison:
    quick, slow = sample(1, 0.02), [value * 1.3 for value in sample(2, 0.02)]
    old = run(row("pipe", {"cpu": quick}), row("queue", {"cpu": quick}), row("gone", {"cpu": quick}))
    new = run(
        row("pipe", {"cpu": slow}),
        row("queue", {"cpu": sample(3, 0.02)}),
        environment=environment(python="3.14.0", load_1min=4.0),
    )
    return compare(old, new, fail_if=[parse("cpu > 1 s")])


@pytest.mark.parametrize("format_", COMPARISON.names)
def test_every_format_names_what_is_worse(found: Comparison, format_: str) -> None:
    text = COMPARISON.formatted(found, format_, Look(200))
    assert text.endswith("\n")
    assert "pipe" in text
    assert "worse" in text.lower()


@pytest.mark.parametrize("format_", ["table", "md"])
def test_a_comparison_is_in_chinese_for_whoever_reads_that(found: Comparison, format_: str) -> None:
    english = COMPARISON.formatted(found, format_, Look(200))
    with speaking("zh"):
        chinese = COMPARISON.formatted(found, format_, Look(200))
    assert "WARNING: " in english
    assert "警告：" in chinese
    assert "变差" in chinese
    assert "Old: " not in chinese


def test_an_unknown_format_is_answered_with_the_known_ones(found: Comparison) -> None:
    with pytest.raises(UnknownNameError):
        COMPARISON.formatted(found, "pdf")


def test_the_terminal_shows_the_worst_first_and_says_why(found: Comparison) -> None:
    lines = COMPARISON.formatted(found, "table", Look(200)).splitlines()
    words = [line.split()[0] for line in lines if line.startswith(("worse ", "undecided ", "same "))]
    assert words == sorted(words, key=["worse", "undecided", "same"].index)
    text = "\n".join(lines)
    assert "WARNING: other programs used the machine during the new run" in text
    assert "Differs: Python: CPython 3.13.1 → CPython 3.14.0" in text
    assert "the new run does not have it" in text
    assert lines[-1].startswith("WORSE: 1 worse, 1 undecided")


def test_markdown_folds_what_did_not_change_and_has_no_links(found: Comparison) -> None:
    text = COMPARISON.formatted(found, "md")
    before, _, folded = text.partition("<details>")
    assert "pipe 1→1 1 KiB" in before
    assert "queue" not in before
    assert "queue 1→1 1 KiB" in folded
    assert "](" not in text


def test_json_has_a_version_and_full_precision(found: Comparison) -> None:
    read = json.loads(COMPARISON.formatted(found, "json"))
    assert (read["ipclab_comparison"], read["verdict"], read["exit_code"]) == (1, "worse", 1)
    (metric,) = read["rows"][0]["metrics"]
    assert metric["word"] == "worse"
    assert metric["low"] < metric["change"] < metric["high"]


def test_csv_has_a_line_for_each_row_and_metric(found: Comparison) -> None:
    lines = list(csv.DictReader(io.StringIO(COMPARISON.formatted(found, "csv"))))
    assert [(one["row"].split()[0], one["metric"], one["word"]) for one in lines[:4]] == [
        ("pipe", "verdict", "same"),
        ("pipe", "cpu", "worse"),
        ("queue", "verdict", "same"),
        ("queue", "cpu", "same"),
    ]


def test_junit_has_a_case_for_each_and_skips_what_is_undecided(found: Comparison) -> None:
    suite = ElementTree.fromstring(COMPARISON.formatted(found, "junit").encode())[0]
    assert suite.attrib["failures"] == "1"
    assert suite.attrib["skipped"] == "1"
    failed = [case.attrib["name"] for case in suite if case.find("failure") is not None]
    assert failed == ["pipe 1→1 1 KiB: CPU/message"]
    skipped = [case.attrib["name"] for case in suite if case.find("skipped") is not None]
    assert skipped == ["gone 1→1 1 KiB: row"]


def test_a_text_of_somebody_else_breaks_no_format() -> None:
    bad = row("pipe", {"cpu": sample(1, 0.02)}, verdict="broken", reasons=['<&"]]> | \x1b[31m # \x00'])
    found = compare(run(row("pipe", {"cpu": sample(1, 0.02)})), run(bad))
    ElementTree.fromstring(COMPARISON.formatted(found, "junit").encode())
    assert " <&" not in COMPARISON.formatted(found, "md")


def test_a_trend_marks_what_changed_between_runs() -> None:
    runs = [
        ("a", run(row("pipe", {"cpu": sample(1, 0.02)}))),
        (
            "b",
            run(row("pipe", {"cpu": sample(2, 0.02, level=200)}), environment=environment(python="3.14.0")),
        ),
        ("c", run(row("pipe", {"cpu": sample(3, 0.02)}, verdict="hung"), environment=environment(cores=4))),
    ]
    text = TREND.formatted(follow("throughput", runs), "table", Look(160))
    assert "▁█▁" in text or "▁█" in text
    assert "Python: CPython 3.13.1 → CPython 3.14.0" in text
    assert "cores: 2 → 4 (not comparable with the runs before)" in text
    assert "! c: pipe 1→1 1 KiB was hung" in text


def test_a_trend_as_csv_has_a_time_and_a_column_a_row_and_metric() -> None:
    runs = [
        ("a", run(row("pipe", {"cpu": [2.0], "goodput": [5.0]}))),
        ("b", run(row("pipe", {"cpu": [3.0]}), row("queue", {"p99": [7e6]}))),
    ]
    text = TREND.formatted(follow("throughput", runs), "csv")
    first, second = csv.DictReader(io.StringIO(text))
    assert first["time"] == "2026-01-02T03:04:05+00:00"
    assert (first["run"], second["run"]) == ("a", "b")
    assert (first["pipe_1to1_1_KiB.cpu_us"], second["pipe_1to1_1_KiB.cpu_us"]) == ("2", "3")
    # Otava takes no empty cell, so a gap is filled, and said to be.
    assert (first["queue_1to1_1_KiB.p99_ns"], second["queue_1to1_1_KiB.p99_ns"]) == ("7e+06", "7e+06")
    assert first["filled"] == "queue_1to1_1_KiB.p99_ns"
    assert second["filled"] == "pipe_1to1_1_KiB.goodput_per_s"
