"""A decision as text in both languages, and as JSON."""

from __future__ import annotations

import json
from typing import get_args

import pytest

from ipclab.choose.decide import Assumption, Constraint, Decision, Fit, Gap, Missing, Open, Rejected
from ipclab.choose.needs import EVENTS, HARMS, Needs
from ipclab.exit_codes import ExitCode
from ipclab.host.language import LANGUAGES, Language
from ipclab.report.choice import words
from ipclab.report.choice.formats import CHOICE
from ipclab.report.choice.shown import Shown
from tests.unit.choose.test_choose_decide import kill, load

FIT = Fit(
    backend="redis-stream",
    options={"min_idle_ms": 1000},
    settings={"appendonly": "yes"},
    broker="redis",
    load=load(),
    faults=[kill(duplicated=3, verdict="declared")],
    assumed=["reboot"],
    claims=["brokers_as_middleware"],
)
RULED = Rejected(backend="queue", settings={}, constraint="p99", needed=5e7, found=0.021, run="latency/1")
UNKNOWN = Open(backend="pipe", settings={}, missing=[Missing(gap="no run", target="consumer")])
NEEDS = Needs(rate_per_s=300, size_bytes=20_480)
DECISION = Decision(needs=NEEDS, fits=[FIT], tied=1, rejected=[RULED], open=[UNKNOWN])
SHOWN = Shown(DECISION, "import redis\n", ["ipclab run crash --backend pipe"])


def test_the_text_has_the_backend_its_settings_the_evidence_each_reason_and_the_program() -> None:
    text = CHOICE.formatted(SHOWN, "table")
    for part in (
        "Use redis-stream, appendonly=yes",
        "settings: min_idle_ms=1000",
        "settings of redis: appendonly yes",
        "300 /s, 20 KiB, 1→3: p50 1.0 ms, p99 8.0 ms, 0% slower than the limit, carried 100%, 3 repeats",
        "(latency/1)",
        "kill consumer, busy: declared, 1/1 kept, 3 twice (crash/1)",
        "a reboot: declared only",
        "claims: ipclab claims brokers_as_middleware",
        "2.1% of the jobs took longer than 50 ms",
        "no run has a worker's death: measure it?",
        "ipclab run crash --backend pipe",
        "import redis",
    ):
        assert part in text, part


def test_a_void_repeat_is_named_beside_the_share_of_the_others() -> None:
    said = words.load(load(p99_ms=54, void=1, slow_share=0.0))
    assert "p99 54 ms, 1 of 3 repeats void beside other programs, else 0% slower than the limit" in said


def test_the_chinese_text_has_the_same_figures() -> None:
    text = CHOICE.formatted(Shown(DECISION, None, [], "zh"), "table")
    for part in ("用 redis-stream", "2.1% 的作业超过了 50 ms", "没有运行测过工作进程死亡：要测吗？"):
        assert part in text, part


def test_where_only_repeats_are_in_the_way_it_says_so() -> None:
    repeat = Rejected(
        backend="redis-stream", settings={}, constraint="repeat", needed="once", found="at-least-once"
    )
    shown = Shown(Decision(needs=NEEDS, fits=[], tied=0, rejected=[repeat], open=[]), None, [])
    assert "--may repeat" in CHOICE.formatted(shown, "table")
    assert shown.exit_code == ExitCode.UNKNOWN


def test_json_has_the_reasons_as_data_and_the_exit_code() -> None:
    read = json.loads(CHOICE.formatted(SHOWN, "json"))
    assert (read["ipclab_choose"], read["exit_code"]) == (1, 0)
    (one,) = read["rejected"]
    assert (one["constraint"], one["needed"], one["found"], one["run"]) == ("p99", 5e7, 0.021, "latency/1")
    assert read["fits"][0]["load"]["p99_ns"] == 8_000_000
    assert read["open"][0]["missing"] == [{"gap": "no run", "target": "consumer"}]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_constraint_and_gap_and_question_has_words_in_both_languages(language: Language) -> None:
    for constraint in get_args(Constraint):
        one = Rejected(backend="b", settings={}, constraint=constraint, needed=2, found=1, fault="kill")
        assert words.why(one, language)
    for gap in get_args(Gap):
        assert words.gap(gap, "broker", language)
    assert set(words.EVENTS) == set(EVENTS)
    assert set(words.ASSUMED) == set(get_args(Assumption))
    assert set(words.HARMS) == set(HARMS)
