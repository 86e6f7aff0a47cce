"""A trial that did not finish has no loss figure, in no format: what had not come is unaccounted for."""

from __future__ import annotations

import csv
import io
import json

import msgspec
import pytest

from ipclab.checks.breach import Breach
from ipclab.report import csv as report_csv
from ipclab.report import json as report_json
from ipclab.report import table
from ipclab.results.reader import parse
from ipclab.results.result import Result
from ipclab.results.rows.build import rows
from ipclab.trial.record import TrialRecord, unfinished

LOST = {"attempted": 2000, "confirmed": 2000, "owed": 2000, "received": 1226, "lost": 774}


@pytest.fixture(params=["hung", "failed"])
def cut_short(make, request) -> TrialRecord:
    return unfinished(make.stream("redis-list", 9.0, ledger=make.ledger(**LOST)), request.param, "it ended")


def in_row(result: Result) -> str:
    (line,) = (line for s in table.make(result).sections for block in s.blocks for line in block.lines)
    return line.cells[[head.full for head in table.make(result).sections[0].heads].index(LEDGER)]


LEDGER = "lost/duplicated/reordered/corrupted"


def test_the_record_calls_nothing_lost_and_is_not_valid(cut_short):
    ledger = cut_short.ledger
    assert (ledger.lost, ledger.unaccounted, ledger.verdict) == (0, 774, "unknown")


def test_the_row_tells_the_unaccounted_apart_and_says_why(make, cut_short):
    (row,) = rows([cut_short])
    assert (row.messages.lost, row.messages.unaccounted, row.verdict) == (0, 774, cut_short.outcome)
    assert row.reasons == ["it ended", "774 confirmed messages are unaccounted for"]


def test_the_table_has_no_loss_figure_for_it(make, cut_short):
    result = make.result([cut_short])
    assert in_row(result) == "?/0/0/0"
    assert any(
        note.startswith("unaccounted: 774 confirmed messages") for note in table.make(result).footnotes
    )


def test_what_a_finished_trial_of_the_row_lost_is_told(make, cut_short):
    finished = make.stream("redis-list", 9.0, repeat=1, ledger=make.ledger(**LOST | {"lost": 3}))
    assert in_row(make.result([cut_short, finished])) == "3/0/0/0"


def test_json_and_csv_have_no_loss_figure_for_it(make, cut_short):
    result = make.result([cut_short])
    ledger = json.loads(report_json.render(result))["trials"][0]["ledger"]
    assert (ledger["lost"], ledger["unaccounted"], ledger["verdict"]) == (0, 774, "unknown")
    (line,) = csv.DictReader(io.StringIO(report_csv.render(result)))
    assert (line["messages_lost"], line["messages_unaccounted"]) == ("0", "774")


def test_a_finished_trial_keeps_its_loss_figure(make):
    result = make.result([make.stream("redis-list", 9.0, ledger=make.ledger(**LOST))])
    assert in_row(result) == "774/0/0/0"


def test_a_result_of_version_1_loses_the_figure_as_well(make):
    """It was written beside ``"verdict": "valid"``."""
    trial = make.hung("redis-list", ledger=make.ledger(**LOST))
    old = json.loads(msgspec.json.encode(make.result([trial])))
    old["ipclab_result"] = 1
    del old["trials"][0]["ledger"]["unaccounted"]

    (ledger,) = (trial.ledger for trial in parse(json.dumps(old).encode(), "old").trials)

    assert (ledger.lost, ledger.unaccounted, ledger.verdict) == (0, 774, "unknown")


def test_a_loss_that_a_breach_proves_is_told_all_the_same(make):
    broken = [Breach(kind="lost", amount=774, text="lost 774 confirmed messages")]
    proven = make.stream("redis-list", 9.0, ledger=make.ledger(**LOST, broken=broken))
    record = unfinished(proven, "failed", "it could not be torn down")
    assert (record.ledger.lost, record.ledger.verdict) == (774, "invalid")
