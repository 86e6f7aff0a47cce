"""Every number that docs/methodology.md gives is the number in the code."""

from __future__ import annotations

import re
from typing import Any

import pytest

from ipclab import experiment
from ipclab.backends import extras, registry
from ipclab.experiment import Request
from ipclab.host import clock
from ipclab.results import stats
from ipclab.trial import (
    analysis,
    backlog,
    distribution,
    drain,
    limit,
    message,
    meter,
    pacing,
    rawlog,
    roles,
    spec,
)
from tests.support.documents import CHECKOUT

PAGE = " ".join((CHECKOUT / "docs" / "methodology.md").read_text().split())
CHANGES = " ".join((CHECKOUT / "CHANGELOG.md").read_text().split())


def default(field: str) -> Any:
    """What a trial has where nothing else was asked for."""
    return getattr(spec.TrialSpec(workload="stream", backend=registry.Variant("pipe")), field)


STATEMENTS = [
    (default("max_backlog"), 1000, "at most 1 000 messages are under way at once"),
    (spec.MOST_BACKLOG_BYTES, 16 * 2**20, "never more than 16 MiB"),
    (roles.BLOCKS_IN_BACKLOG, 4, "a block is at most a quarter of that number"),
    (roles.BLOCK_NS, 4_000_000, "once a block of messages, every 4 ms or sooner"),
    (rawlog.MOST_KEPT_BYTES, 128, "A message of up to 128 bytes is copied into the log whole"),
    (backlog.STILL_NS, 100_000_000, "backlog has stood still for 100 ms"),
    (default("grace_s"), 20, "may take 20 s each"),
    (drain.PATIENCE, 4, "for 4 times the longest pause between two receipts"),
    (default("drain_s"), 1, "given up when nothing has arrived for 1 s"),
    (clock.self_test.__defaults__, (200,), "asked 200 times for its reading"),
    (message.HEADER_BYTES, 16, "a header of 16 bytes"),
    (default("arrivals"), "poisson", "By default the gaps are random"),
    (analysis.LATE_NS, 1_000_000, "began more than 1 ms late"),
    (pacing.SPIN_NS, 120_000, "until 120 µs before a send is due"),
    (distribution.SAMPLES_BEYOND, 10, "at least 10 samples lie beyond it: p99 wants 1 000 samples"),
    (distribution.SAMPLES_BEYOND, 10, "at least 10 separate *excursions*"),
    (distribution.SAMPLES_OF_A_REPEAT, 3, "3 samples beyond it are enough in each"),
    (limit.BUSY, 0.85, "ran or wanted to for at least 85 % of the window"),
    (meter.AT_WORK, 0.01, "at work for 1 % of the window or more"),
    (limit.MACHINE_BUSY, 0.9, "fill 90 % of the processors"),
    (limit.QUEUED, 0.25, "spent more than a quarter of that in the run queue"),
    (limit.STALLED, 0.2, "more than a fifth of the time waiting for room in the backlog"),
    (stats.SIGNIFICANT_P, 0.05, "Mann-Whitney test gives p < 0.05"),
    (stats.LEAST_EFFECT, 0.05, "the medians are at least 5 % apart"),
    (stats.separable(4, 4) and not stats.separable(3, 3), True, "Four repeats are the fewest"),
]


@pytest.mark.parametrize(("value", "said", "words"), STATEMENTS, ids=[words for *_, words in STATEMENTS])
def test_a_number_of_the_methodology_is_that_of_the_code(value: object, said: object, words: str) -> None:
    assert words in PAGE
    assert value == said


def test_the_experiments_do_what_the_methodology_says() -> None:
    def values(name: str, workload: str, field: str) -> set[object]:
        trials = experiment.load(name).trials(Request(), 0)
        return {getattr(trial, field) for trial in trials if trial.workload == workload}

    assert values("comparison", "paced", "rate_per_s") == {500}
    assert values("comparison", "stream", "window") == {1, 100}
    lasting = [values("comparison", workload, "duration_s") for workload in ("counter", "stream", "paced")]
    assert lasting == [{0.25}, {0.4}, {1.2}]
    assert values("comparison", "counter", "producers") == {2}
    assert values("throughput", "stream", "shape") == {"1→1", "4→1", "1→4", "4→4"}
    assert values("throughput", "stream", "size_bytes") == {64, 1024, 65536}
    assert values("throughput", "stream", "window") == {1, 100}
    assert values("latency", "paced", "rate_per_s") == {100, 1000}
    assert values("round_trip", "ping-pong", "size_bytes") == {64}
    assert values("race", "counter", "producers") == {2, 4}
    assert values("race", "register", "producers") == values("race", "lock", "producers") == {4}
    assert values("race", "forced", "scenario") == {"counter", "register", "lock"}
    for words in (
        "`paced` at 500 messages a second in the first three repeats; each counter with 2 processes",
        "`stream` in 1→1, 4→1, 1→4, 4→4; 64 B, 1 KiB, 64 KiB; window 1 and 100",
        "`paced` at 100 and 1 000 messages a second",
        "`ping-pong`, 64 B",
        "`counter`, every discipline, 2 and 4 processes; `register` and `lock`, every discipline, 4",
        "The windows of the default comparison last 0.25 to 1.2 s",
    ):
        assert words in PAGE


def test_the_changelog_counts_the_backends_right() -> None:
    channels = [name for name, target in registry._CHANNELS.items() if extras.of(target) is None]
    counters = [name for name, target in registry._COUNTERS.items() if extras.of(target) is None]
    assert (len(channels), len(counters)) == (22, 7)
    assert re.search(r"(?s)Twenty-two channels .* and seven counters", CHANGES)
