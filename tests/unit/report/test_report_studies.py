"""Capacities and curves in the formats of a result: table, brief, page, CSV and JSON."""

from __future__ import annotations

import csv
import io
import json

import pytest

from ipclab.report.formats import formatted
from ipclab.report.html import brackets, rates
from ipclab.report.html.run import gather
from ipclab.report.look import Look
from ipclab.report.table import make
from ipclab.results import reader
from ipclab.results.result import Result
from tests.support.records import Make
from tests.unit.capacity import test_capacity_course as searches
from tests.unit.capacity import test_capacity_sweep as sweeps

MAKE = Make()


@pytest.fixture
def capacity() -> Result:
    firsts = [searches.first("queue"), searches.first("simple-queue")]
    trials = searches.carry_out(firsts, {"queue": 20_000, "simple-queue": 3_000})
    half = searches.carry_out([searches.first("manager-queue")], {"manager-queue": 900}, others=1.5)
    return MAKE.result([*trials, *half], experiment="capacity", brokers=[])


@pytest.fixture
def curve() -> Result:
    trials = sweeps.carry_out([sweeps.first("queue")], {"queue": 20_000})
    return MAKE.result(trials, experiment="curve", brokers=[])


def test_the_table_has_a_line_for_each_backend_and_no_ordinary_rows(capacity: Result) -> None:
    shown = make(capacity)
    (section,) = shown.sections
    cells = {line.cells[1]: line.cells[4] for block in section.blocks for line in block.lines}
    assert cells["queue"] == "17.2–20.5 k/s"
    assert cells["manager-queue"] == "≥ 761 /s; above: unknown (others used 1.5 of 2 cores)"
    assert section.title == "Capacity: the largest rate with p99 ≤ 10 ms"
    assert shown.closing == "Capacity: 2 backends with both ends; 1 with one end."


def test_the_heading_does_not_list_every_rate(capacity: Result) -> None:
    (line,) = [line for line in make(capacity).heading if line.startswith("Conditions")]
    assert "messages of 1 KiB, window 1, poisson arrivals" in line
    assert "k/s" not in line


def test_the_brief_form_has_one_line_for_each_backend(capacity: Result, curve: Result) -> None:
    lines = formatted(capacity, "table", Look(100, brief=True)).splitlines()
    assert "● 17.2–20.5 k/s: queue · At most once: a crash may cost messages" in lines
    assert any(line.startswith("■ ≥ 761 /s; above: unknown") for line in lines)
    lines = formatted(curve, "table", Look(100, brief=True)).splitlines()
    assert "● knee at 17.2 k/s, p50 1.0 ms: queue" in lines
    assert "Curves: 1 of 1 backend with a knee." in lines


def test_the_page_has_a_band_for_a_bracket_and_an_open_line_for_a_half(capacity: Result) -> None:
    (picture,) = brackets.pictures(gather(capacity))
    drawn = str(picture.inline())
    assert drawn.count('class="band"') == 2
    assert drawn.count('class="faint"') == 1
    assert "17.2–20.5 k/s" in drawn
    assert drawn in formatted(capacity, "html")
    assert brackets.pictures(gather(MAKE.result())) == []


def test_the_page_has_a_panel_for_each_curve_with_its_knee(curve: Result) -> None:
    (picture,) = rates.pictures(gather(curve))
    drawn = str(picture.inline())
    assert drawn.count("<polyline") == 2
    assert ">knee</text>" in drawn
    assert drawn in formatted(curve, "html")
    assert rates.pictures(gather(MAKE.result())) == []


def test_csv_has_a_line_for_each_capacity_in_full_precision(capacity: Result) -> None:
    lines = {line["backend"]: line for line in csv.DictReader(io.StringIO(formatted(capacity, "csv")))}
    assert float(lines["queue"]["low_per_s"]) == pytest.approx(17222.5, rel=1e-4)
    assert lines["manager-queue"]["high_per_s"] == ""
    assert lines["manager-queue"]["missing"] == "others"


def test_a_busy_machine_is_told_without_the_advice_to_repeat_more_often() -> None:
    trials = searches.carry_out([searches.first("queue")], {"queue": 20_000}, others=1.5)
    said = make(MAKE.result(trials, experiment="capacity", brokers=[])).busy
    assert said.startswith("Busy machine: other processes used 1.5 of 2 cores, so some ends of brackets may")
    assert "--repeats" not in said


def test_json_is_read_back_and_shows_the_same(capacity: Result, curve: Result) -> None:
    for result in (capacity, curve):
        printed = formatted(result, "json")
        assert reader.parse(printed.encode(), "it") == result
    assert [one["backend"] for one in json.loads(formatted(curve, "json"))["curves"]] == ["queue"]


def test_a_run_on_a_machine_that_stalls_says_so_everywhere() -> None:
    trials = searches.carry_out([searches.first("queue")], {"queue": 9.0}, machine_holds=False)
    result = MAKE.result(trials, experiment="capacity", brokers=[])
    for format_ in ("table", "md", "html"):
        assert "This machine alone stalls 50 ms" in formatted(result, format_)
    assert "This machine alone stalls 50 ms" in formatted(result, "table", Look(100, brief=True))
