"""The tables of order: what counts as evidence, and how order that broke is shown."""

import json

import msgspec
import pytest

from ipclab.report import json as report_json
from ipclab.report import table
from ipclab.report.formats import formatted
from ipclab.results.verdict import exit_code
from tests.support.safety import AT_MOST_ONCE, crash, order


def cell(shown, section, row, column):
    (found,) = (s for s in shown.sections if s.title == section)
    (line,) = (line for block in found.blocks for line in block.lines if line.cells[0] == row)
    (place,) = (i for i, head in enumerate(found.heads) if head.full == column)
    return line.cells[place], line.words[place]


NOTHING_SENT = "–(a)  no trial of this row sent a message"
ORDER = ("order of each producer", "real-time order under stress", "real-time order, forced")


@pytest.mark.parametrize("scenario", ["stress", "forced"])
def test_trials_that_failed_are_no_evidence_of_order(make, scenario):
    failed = [
        msgspec.structs.replace(order(scenario=scenario, repeat=i), outcome="failed", reason="x", safety=None)
        for i in range(3)
    ]
    shown = table.make(make.result(failed))
    for column in ORDER[:2] if scenario == "stress" else ORDER[2:]:
        assert cell(shown, "Order", "queue", column) == ("–(a)" if scenario == "stress" else "–(b)", None)
    assert any(note.endswith(NOTHING_SENT[6:]) for note in shown.footnotes)
    assert cell(shown, "Order", "queue", "messages") == ("–", None)
    assert cell(shown, "Order", "queue", "verdict") == ("failed", "failed")
    assert cell(shown, "Order", "queue", "other findings")[0].startswith("failed: x 3/3")


def test_trials_in_which_nothing_was_sent_are_no_evidence_of_order(make):
    nothing = {"attempted": 0, "confirmed": 0, "received": 0}
    trials = [order("queue", s, counts=nothing, verdict="unknown") for s in ("stress", "forced")]
    shown = table.make(make.result(trials))
    assert [cell(shown, "Order", "queue", column) for column in ORDER] == [("–(a)", None)] * 3
    assert NOTHING_SENT in shown.footnotes


def test_only_the_trials_that_can_tell_are_counted_as_evidence_of_order(make):
    failed = msgspec.structs.replace(order(repeat=1), outcome="failed", reason="x", safety=None)
    shown = table.make(make.result([order(), failed]))
    assert cell(shown, "Order", "queue", ORDER[0]) == ("kept 1/1 [20–100%]", "kept")
    assert cell(shown, "Order", "queue", ORDER[1])[0].endswith(" 1 000 messages, trials 0/1 [0–80%]")


def test_a_run_of_order_in_which_a_worker_gave_up_ends_with_3_and_says_so_everywhere(make):
    gone = {"producer-0": "OutOfMemoryError: command not allowed"}
    nothing = {"attempted": 6, "confirmed": 0, "received": 0}
    result = make.result([order(counts=nothing, verdict="unknown", gave_up=gone)])
    assert exit_code(result) == 3
    assert cell(table.make(result), "Order", "queue", "verdict") == ("unknown", "unknown")
    assert json.loads(report_json.render(result))["cells"][0]["verdict"] == "stopped"


def test_order_and_crash_tables_keep_what_promises_no_order_in_a_group_of_its_own(make):
    unordered = AT_MOST_ONCE | {"order": "none"}
    for trial in (order, crash):
        trials = [trial("manager-dict", declared=unordered), trial("manager-queue")]
        result = make.result(trials)
        assert [
            (b.title, [line.cells[0] for line in b.lines]) for b in table.make(result).sections[0].blocks
        ] == [
            ("At most once: a crash may cost messages", ["manager-queue"]),
            ("At most once: a crash may cost messages, in any order", ["manager-dict"]),
        ]
        assert "**At most once: a crash may cost messages, in any order**" in formatted(result, "md")
        classes = [c["guarantee_class"] for c in json.loads(report_json.render(result))["cells"]]
        assert classes[0] == "At most once: a crash may cost messages, in any order"


def test_order_that_broke_is_not_rendered_as_kept(make):
    broken = ["delivered 2 messages out of their producer's order"]
    trials = [order(counts={"reordered": 2}, broken=broken), order(repeat=1)]
    shown = table.make(make.result(trials))
    text, word = cell(shown, "Order", "queue", "order of each producer")
    assert (text, word) == ("BROKEN 1/2 [9–91%]¹", "broken")
    assert cell(shown, "Order", "queue", "verdict") == ("broken", "broken")


def test_order_that_nobody_promised_is_broken_as_declared(make):
    shown = table.make(make.result([order(counts={"reordered": 2})]))
    assert cell(shown, "Order", "queue", "order of each producer") == (
        "broken 1/1 [20–100%], as declared¹",
        "unsafe",
    )


def test_a_forced_trial_alone_leaves_the_stress_untold(make):
    shown = table.make(make.result([order("queue", "forced", shown=False)]))
    text, _ = cell(shown, "Order", "queue", "real-time order under stress")
    assert f"{text}  was not tried in this run" in shown.footnotes
    assert cell(shown, "Order", "queue", "real-time order, forced") == ("shown 0/1", "kept")


def test_duplicates_of_an_order_trial_are_other_findings(make):
    shown = table.make(make.result([order(counts={"duplicated": 3})]))
    assert cell(shown, "Order", "queue", "other findings") == ("twice 3 1/1¹", "unsafe")


# Clients
