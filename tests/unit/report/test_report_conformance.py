"""A conformance report as text, as JSON and as a badge."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET

import pytest

from ipclab.conform.outcome import Conformance, Outcome, Word
from ipclab.exit_codes import ExitCode
from ipclab.report.conformance import badge
from ipclab.report.conformance.formats import CONFORMANCE
from ipclab.report.conformance.shown import Shown
from tests.support.records import Make

MAKE = Make()


def outcome(verdict: Word, promise: str, window: int = 1, reason: str = "") -> Outcome:
    return Outcome(
        promise=promise,
        sentence=f"{promise} holds",
        backend="mine",
        window=window,
        verdict=verdict,
        reason=reason,
    )


def shown(*outcomes: Outcome) -> Shown:
    return Shown(Conformance(backends=["mine"], versions={"ipclab": "1"}, outcomes=list(outcomes)))


MIXED = shown(
    outcome("kept", "once"),
    outcome("kept", "once", 10),
    outcome("kept", "order"),
    outcome("broken", "order", 10, "2 of 3 messages did not arrive"),
    outcome("undecided", "durable", 1, "the server is yours"),
)


def test_each_promise_is_a_line_with_what_was_kept_and_what_happened_instead() -> None:
    lines = CONFORMANCE.formatted(MIXED, "table").splitlines()
    (order,) = [line for line in lines if line.startswith("order holds")]
    assert "broken" in order
    assert "1 of 2" in order
    assert "broken in mine:window=10: 2 of 3 messages" in " ".join(" ".join(lines).split())
    (once,) = [line.split() for line in lines if line.startswith("once holds")]
    assert once == ["once", "holds", "kept", "2", "of", "2"]
    assert lines[-1] == "3 promises: 1 broken, 1 undecided, 1 kept"


def test_json_has_every_outcome_and_the_exit_code() -> None:
    read = json.loads(CONFORMANCE.formatted(MIXED, "json"))
    assert (read["ipclab_conform"], read["exit_code"], read["crash"]) == (1, 1, None)
    assert [one["verdict"] for one in read["outcomes"]] == ["kept", "kept", "kept", "broken", "undecided"]


def test_the_crash_matrix_is_shown_below_and_counts() -> None:
    kept = Shown(shown(outcome("kept", "once")).conformance, MAKE.result([MAKE.stream("pipe", 1000.0)]))
    assert kept.exit_code == ExitCode.SUCCESS
    text = CONFORMANCE.formatted(kept, "table")
    assert text.index("1 promise: 1 kept") < text.index("pipe")
    bad = Shown(kept.conformance, MAKE.result([MAKE.stream("pipe", 1000.0, ledger=MAKE.bad_ledger())]))
    assert bad.exit_code == ExitCode.BROKEN


@pytest.mark.parametrize(
    ("report", "text", "word"),
    [
        (MIXED, "1 of 3 promises broken", "broken"),
        (
            shown(outcome("kept", "once"), outcome("undecided", "order")),
            "1 of 2 promises undecided",
            "undecided",
        ),
        (shown(outcome("kept", "once")), "1 promise kept", "kept"),
    ],
)
def test_the_badge_is_a_small_svg_that_says_the_worst(report: Shown, text: str, word: Word) -> None:
    tree = ET.fromstring(badge.render(report))
    texts = [node.text for node in tree.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["ipclab", text]
    assert badge.COLOURS[word] in badge.render(report)
    assert "mine" in tree.attrib["aria-label"]


def test_the_badge_asks_for_nothing_outside_of_it() -> None:
    drawn = badge.render(MIXED).replace("http://www.w3.org/2000/svg", "")
    assert "http" not in drawn
    assert "href" not in drawn
