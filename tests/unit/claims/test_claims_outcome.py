"""What comes out of claims: the verdict against the recorded one, exit codes, tables and pages."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.cells import cell_len

from ipclab.claims import Claim, Row, Source, Text, Verdict, holds, refuted
from ipclab.claims.keep import read
from ipclab.claims.outcome import (
    Conditions,
    Measured,
    Outcome,
    Run,
    broker_missing,
    exit_code,
    settle,
)
from ipclab.claims.page import make_pages
from ipclab.claims.table import make_card, make_markdown, make_table
from ipclab.errors import ResultsError, UsageError
from ipclab.host.language import LANGUAGES, Language
from tests.support.documents import CHECKOUT

CONDITIONS = Conditions(
    ipclab="0.1.0",
    python="3.12.1",
    implementation="cpython",
    start_method="fork",
    system="Linux",
    cores=2,
    brokers={"redis": "7.0.15 (native)"},
)


class Evidence(msgspec.Struct, frozen=True):
    value: int


def verdict(seen: Evidence) -> Verdict:
    return holds("it is 7", "它是 7") if seen.value == 7 else refuted("it is not 7", "它不是 7")


CLAIM: Claim[Any] = Claim(
    number=4,
    section="locks",
    statement=Text("Seven is seven.", "七就是七。"),
    evidence=Evidence,
    experiment=lambda bench: Evidence(7),
    verdict=verdict,
    show=lambda seen: [
        Row(Text("value | raw", "数值"), str(seen.value), key=True),
        Row(Text("its kind", "种类"), Text("a number", "一个数")),
    ],
    practice=Text("Count on it.", "尽管相信。"),
    sources=(Source("why", "https://example.org/why"), Source("the code", "Lib/threading.py")),
    recorded={"linux": "holds"},
)


@pytest.fixture(autouse=True)
def on_linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")


def outcome(value: int = 7) -> Outcome:
    return settle("seven", CLAIM, Measured(evidence={"value": value}))


def run(*outcomes: Outcome, python: str = "3.12.1") -> Run:
    here = msgspec.structs.replace(CONDITIONS, python=python)
    return Run(ipclab_claims=1, began_utc="2026-01-01T00:00:00+00:00", conditions=here, outcomes=[*outcomes])


def test_the_verdict_is_derived_from_the_evidence() -> None:
    assert outcome(7).verdict == holds("it is 7", "它是 7")
    assert outcome(8).verdict == refuted("it is not 7", "它不是 7")


def test_the_recorded_verdict_is_fine() -> None:
    assert not outcome(7).differs
    assert exit_code([outcome(7)]) == 0


def test_another_verdict_than_the_recorded_one_is_an_error() -> None:
    assert outcome(8).differs
    assert exit_code([outcome(7), outcome(8)]) == 1


def test_where_no_verdict_is_recorded_none_differs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "plan9")
    assert exit_code([outcome(8)]) == 0


def test_a_failed_experiment_is_an_error() -> None:
    assert exit_code([settle("seven", CLAIM, Measured(failure="it broke"))]) == 1


def test_a_missing_broker_has_an_exit_code_of_its_own() -> None:
    missing = broker_missing("seven", CLAIM, "no server")
    assert missing.state == "not run"
    assert exit_code([outcome(7), missing]) == 4


def test_what_cannot_be_run_here_leaves_the_whole_unknown() -> None:
    assert exit_code([outcome(7), settle("seven", CLAIM, Measured(not_run="no /proc"))]) == 3


def test_a_differing_verdict_outweighs_what_was_not_run() -> None:
    assert exit_code([outcome(8), broker_missing("seven", CLAIM, "no server")]) == 1


def test_the_table_shows_claim_verdict_key_evidence_and_practice() -> None:
    text = make_table(run(outcome()), "en", width=120, colour=False)
    for part in ("Seven is seven.", "holds: it is 7", "value | raw: 7", "Count on it.", "cpython 3.12.1"):
        assert part in text
    assert "its kind" not in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_the_table_is_there_in_chinese() -> None:
    text = make_table(run(outcome()), "zh", width=120, colour=False)
    for part in ("七就是七。", "成立：它是 7", "数值：7", "尽管相信。", "启动方式 fork"):
        assert part in text


def test_the_table_says_what_was_recorded_where_the_verdict_differs() -> None:
    assert "(recorded: holds)" in " ".join(make_table(run(outcome(8)), "en", width=120, colour=False).split())


def test_the_table_says_why_a_claim_was_not_run() -> None:
    text = make_table(run(broker_missing("seven", CLAIM, "no server")), "en", width=120, colour=False)
    assert "not run: no server" in text


def test_the_markdown_table_is_safe_against_bars() -> None:
    text = make_markdown(run(outcome()), "en")
    assert "| 4 | Seven is seven. | **holds**: it is 7 | value \\| raw: 7 | Count on it. |" in text


def test_a_card_shows_all_of_the_evidence() -> None:
    text = make_card(outcome(), CONDITIONS, "en")
    for part in (
        "value | raw: 7",
        "its kind: a number",
        "Verdict\n  holds: it is 7",
        "In practice\n  Count on it.",
    ):
        assert part in text


def test_the_parts_of_a_card_have_labels_in_the_language_of_the_reader() -> None:
    text = make_card(outcome(), CONDITIONS, "zh")
    labels = [line for line in text.splitlines() if line and not line.startswith(" ")]
    assert labels == ["证据", "结论", "实践中", "条件"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("width", [40, 80, 99, 100, 140])
def test_a_table_fits_and_no_line_begins_with_closing_punctuation(language: Language, width: int) -> None:
    found = [*read(CHECKOUT / "docs" / "claims" / "3.11.json").outcomes]
    text = make_table(run(*found), language, width=width, colour=False)
    for line in text.splitlines():
        assert cell_len(line) <= width
        assert not re.search(r"(?:^|\s{2,})[，。、；：）》」』”]", line), line


def test_a_page_groups_by_section_and_names_sources_and_file() -> None:
    text = make_pages([run(outcome())], {"seven": CLAIM})["claims.md"]
    assert "## Locks, semaphores, events\n\n### 4. Seven is seven.\n\n**holds**: it is 7" in text
    assert "| 4 | [Seven is seven.](#4-seven-is-seven) | **holds**: it is 7 |" in text
    assert "[why](https://example.org/why)" in text
    assert (
        "[the code, `Lib/threading.py`](https://github.com/python/cpython/blob/main/Lib/threading.py)" in text
    )
    assert "(../experiments/claims/seven.py)" in text
    assert "- cpython 3.12.1, start method fork, 2 cores, Linux, redis 7.0.15 (native)" in text


def test_a_page_puts_versions_that_differ_side_by_side() -> None:
    text = make_pages([run(outcome(7)), run(outcome(8), python="3.13.0")], {"seven": CLAIM})["claims.md"]
    assert "| evidence | 3.12 | 3.13 |" in text
    assert "| value \\| raw | 7 | 8 |" in text
    assert "3.12: **holds**: it is 7" in text
    assert "3.13: **refuted**: it is not 7" in text


def test_a_page_has_one_column_for_versions_that_agree() -> None:
    text = make_pages([run(outcome(7)), run(outcome(7), python="3.13.0")], {"seven": CLAIM})["claims.zh.md"]
    assert "| 证据 | 3.12, 3.13 |" in text
    assert text.count("**成立**：它是 7") == 2


def test_two_runs_of_one_minor_version_are_told_apart() -> None:
    text = make_pages([run(outcome(7)), run(outcome(8), python="3.12.9")], {"seven": CLAIM})["claims.md"]
    assert "| evidence | 3.12.1 | 3.12.9 |" in text


def test_a_page_takes_no_verdict_from_a_run_but_derives_it_again() -> None:
    forged = msgspec.structs.replace(outcome(8), verdict=holds("I say so", "我说的"))
    text = make_pages([run(forged)], {"seven": CLAIM})["claims.md"]
    assert "I say so" not in text
    assert "**refuted**: it is not 7" in text


def test_a_page_is_refused_where_a_run_lacks_a_claim() -> None:
    with pytest.raises(UsageError, match=r"the run with Python 3\.12\.1 lacks seven; run it again"):
        make_pages([run()], {"seven": CLAIM})


def test_a_page_is_refused_where_the_evidence_is_of_another_version_of_the_claim() -> None:
    old = msgspec.structs.replace(outcome(), evidence={"worth": 7})
    with pytest.raises(UsageError, match="has other evidence of seven"):
        make_pages([run(old)], {"seven": CLAIM})


def test_a_run_is_read_as_it_was_kept(tmp_path: Path) -> None:
    kept = run(outcome(), broker_missing("other", CLAIM, "no server"))
    path = tmp_path / "run.json"
    path.write_bytes(msgspec.json.encode(kept))
    assert read(path) == kept


def test_a_file_that_is_no_run_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text('{"trials": []}')
    with pytest.raises(ResultsError, match="is no run of claims"):
        read(path)
    with pytest.raises(ResultsError, match="cannot read"):
        read(tmp_path / "nothing.json")
