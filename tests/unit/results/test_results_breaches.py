"""From a broken trial to the cell in the table: by the kind of each breach, whatever its sentence says."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from ipclab.checks.breach import Breach, BreachKind
from ipclab.report import table
from ipclab.results import version_1
from ipclab.results.safety.cells import make_cells
from ipclab.results.safety.sightings import find_sightings
from ipclab.results.store import read
from tests.support.safety import client, crash

MISLEADING = "held against it: lost, again, twice, corrupt, undelivered, out of order, nobody sent"
CELLS: dict[BreachKind, str] = {
    "lost": "lost 7 (0.70%)",
    "duplicated": "twice 7",
    "reordered": "reordered 7",
    "unexpected": "sent by nobody 7",
    "corrupted": "corrupted 7",
    "received_before_sent": MISLEADING,
    "phantom": MISLEADING,
    "race": MISLEADING,
    "fix_failed": MISLEADING,
    "other": MISLEADING,
}
OLD = Path(__file__).parent / "version_1" / "result.json"


def only_cell(shown):
    (cell,) = (line.cells[1] for s in shown.sections for block in s.blocks for line in block.lines)
    return cell


def test_every_kind_has_a_cell():
    assert set(CELLS) == set(get_args(BreachKind))


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("kind", CELLS)
def test_a_breach_of_each_kind_is_broken_in_the_table_by_its_kind(make, kind, counted):
    trial = crash(counts={kind: 7} if counted else {}, broken=[Breach(kind=kind, amount=7, text=MISLEADING)])

    cell = only_cell(table.make(make.result([trial])))

    assert cell == f"BROKEN: {CELLS[kind]} 1/1¹"


def test_what_is_counted_and_not_among_the_breaches_is_as_declared(make):
    counts = {"lost": 3, "duplicated": 2, "reordered": 1}
    trial = crash(counts=counts, broken=[Breach(kind="race", amount=1, text=MISLEADING)])

    assert only_cell(table.make(make.result([trial]))).split("\n") == [
        f"BROKEN: {MISLEADING} 1/1¹",
        "lost 3 (0.30%) 1/1¹",
        "twice 2 1/1¹",
        "reordered 1 1/1¹",
    ]


def test_an_error_that_says_against_is_not_a_message_that_came_again():
    error = "ReplyError: the server holds it against the client"
    trial = client(counts={"duplicated": 2}, broken=[version_1.breach(error)])

    assert [(seen.kind, seen.standing) for seen in find_sightings(trial)] == [
        ("other", "broken"),
        ("twice", "declared"),
    ]
    assert make_cells([trial])[0].broken == [error]


@pytest.mark.parametrize(
    ("line", "kind", "amount"),
    [
        ("lost 1 confirmed message", "lost", 1),
        ("lost 12 confirmed messages, where 3 can have been held", "lost", 12),
        ("lost 4 of 1000 confirmed increments", "lost", 4),
        ("shows 3 increments that nobody made", "phantom", 3),
        ("delivered 2 messages again", "duplicated", 2),
        ("delivered 1 message out of their producer's order", "reordered", 1),
        ("delivered 5 messages that nobody sent", "unexpected", 5),
        ("delivered 5 messages whose bytes were damaged", "corrupted", 5),
        ("delivered 6 corrupted messages", "corrupted", 6),
        ("delivered 3 messages before they were sent", "received_before_sent", 3),
        ("declares itself safe, and: lost-update 1, stale-read 2", "race", 3),
        ("it did not help to set it right: 2 of 3 were lost, out of order, again", "fix_failed", 1),
        ("BusyError: 7 messages were lost, try again", "other", 0),
        ("delivered 2 messages again, it says", "other", 0),
    ],
)
def test_a_sentence_of_version_1_is_known_by_its_whole_form(line, kind, amount):
    assert version_1.breach(line) == Breach(kind=kind, amount=amount, text=line)


def test_a_result_of_version_1_is_read_with_all_its_trials_and_breaches():
    result = read(OLD)

    assert result.ipclab_result == 2
    assert len(result.trials) == OLD.read_text().count('"spec": {')
    checks = [c for t in result.trials for c in (t.safety, t.ledger, t.counter) if c is not None]
    kinds = [breach.kind for check in checks for breach in check.broken]
    assert set(kinds) == set(get_args(BreachKind)) - {"phantom", "other"}
    for check in checks:
        assert (check.verdict == "invalid") == bool(check.broken)


def test_a_result_of_version_1_is_shown_with_each_broken_thing_in_its_cell():
    shown = table.make(read(OLD))

    lines = [cell for s in shown.sections for b in s.blocks for line in b.lines for cell in line.cells]
    broken = {part.rstrip("⁰¹²³⁴⁵⁶⁷⁸⁹") for cell in lines for part in cell.split("\n") if "BROKEN" in part}
    assert broken == {
        "BROKEN 1/1 [20–100%]",
        "BROKEN: corrupted 2 1/2 idle",
        "BROKEN: delivered 3 messages before they were sent 1/1",
        "BROKEN: lost 1 (0.10%) 1/2 busy",
        "BROKEN: lost 2 (0.20%) 1/2",
        "BROKEN: reordered 5 1/1",
        "BROKEN: sent by nobody 1 1/2 idle",
        "BROKEN: twice 4 1/2",
    }
