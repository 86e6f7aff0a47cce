"""Curves: the rates that are offered, the medians of the repeats, the knee, and what a closed loop hides."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from ipclab.capacity.grid import rate_of, step_of
from ipclab.capacity.sweep import RATES, Sweeps, steps
from ipclab.report.curve_table import KNEE_MARK, curve_part
from ipclab.results.sweeps import CurvePoint, knee, rate_curves
from ipclab.trial.distribution import summarize
from ipclab.trial.record import Latency, TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Study
from tests.support.records import Make

MAKE = Make()
MS = 1_000_000


def first(backend: str, *, repeat: int = 0) -> TrialSpec:
    return MAKE.spec("stream", backend, repeat=repeat, study=Study(kind="curve", part="peak"))


def point(per_s: float, p50_ms: float | None, carried: float = 1.0) -> CurvePoint:
    return CurvePoint(
        rate_per_s=per_s, repeats=3, p50_ns=None if p50_ms is None else int(p50_ms * MS), p99_ns=None,
        service_p99_ns=None, carried_share=carried, limit="pacing",
    )  # fmt: skip


def paced(spec: TrialSpec, ms: float, *, service_ms: float | None = None, **fields: Any) -> TrialRecord:
    due = summarize(np.full(1000, int(ms * MS), np.int64))
    sent = summarize(np.full(1000, int((service_ms or ms) * MS), np.int64))
    latency = Latency(end_to_end=due, service=sent, send=sent)
    made = MAKE.paced("queue", [1], rate=1000.0, latency=latency, **fields)
    return TrialRecord(**{name: getattr(made, name) for name in made.__struct_fields__} | {"spec": spec})


def stream(spec: TrialSpec, per_s: float, **fields: Any) -> TrialRecord:
    made = MAKE.stream("queue", per_s, **fields)
    return TrialRecord(**{name: getattr(made, name) for name in made.__struct_fields__} | {"spec": spec})


def carry_out(firsts: list[TrialSpec], peaks: dict[str, float]) -> list[TrialRecord]:
    """Run the course; the latency is 1 ms up to the peak and 50 ms above it."""
    course, done = Sweeps(firsts, "poisson"), []
    while (spec := course.next()) is not None:
        assert course.coming()
        peak = peaks[spec.backend.name]
        if spec.rate_per_s is None:
            done.append(stream(spec, peak))
        else:
            slow = spec.rate_per_s > peak
            done.append(paced(spec, 50.0 if slow else 1.0, service_ms=2.0 if slow else 1.0))
        course.tell(done[-1], 1.0)
    return done


@pytest.mark.parametrize("peak", [500.0, 20_000.0, 1_000_000.0])
def test_eight_rates_a_factor_apart_reach_beyond_the_peak(peak: float) -> None:
    rates = [rate_of(step) for step in steps(peak)]
    assert len(rates) == RATES or rates[0] < 60
    assert rates[-1] > peak
    assert [b / a for a, b in itertools.pairwise(rates)] == pytest.approx([2**0.5] * (len(rates) - 1))


def test_a_slow_backend_has_fewer_rates_and_at_least_one() -> None:
    assert steps(10.0) == [0]
    assert [step_of(rate_of(step)) for step in steps(100.0)] == steps(100.0)


def test_every_backend_has_all_its_rates_in_every_repeat_and_its_peak_is_measured_once() -> None:
    firsts = [first(name, repeat=repeat) for repeat in range(2) for name in ("queue", "simple-queue")]
    trials = carry_out(firsts, {"queue": 20_000, "simple-queue": 5_000})
    streams = [t for t in trials if t.spec.rate_per_s is None]
    assert [t.spec.backend.name for t in streams] == ["queue", "simple-queue"] * 3
    assert len(trials) == 6 + 2 * 2 * RATES
    found = rate_curves(trials)
    assert [(one.name, len(one.points)) for one in found] == [("queue", RATES), ("simple-queue", RATES)]
    assert {p.repeats for one in found for p in one.points} == {2}
    for one, peak in zip(found, (20_000, 5_000), strict=True):
        assert one.knee_per_s == max(p.rate_per_s for p in one.points if p.rate_per_s <= peak)


def test_the_knee_is_marked_once_and_the_lesson_is_told_once() -> None:
    part = curve_part(carry_out([first("queue")], {"queue": 20_000}))
    (section,) = part.sections
    cells = [line.cells for block in section.blocks for line in block.lines]
    assert sum(KNEE_MARK in line for line in cells) == 1
    (lesson,) = [note for note in part.footnotes if note.startswith("Coordinated omission")]
    assert "p99 50 ms counted from when a message was due, and 2.0 ms counted from when it was sent" in lesson


def test_without_a_difference_there_is_no_lesson() -> None:
    spec = carry_out([first("queue")], {"queue": 20_000})[-1].spec
    assert not [n for n in curve_part([paced(spec, 3.0)]).footnotes if n.startswith("Coordinated omission")]


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], None),
        ([point(1, 1), point(2, 4.9), point(4, 5.1)], 2),
        ([point(1, 1), point(2, 1, carried=0.9)], 1),
        ([point(1, 1), point(2, 9), point(4, 1)], 1),
        ([point(1, 1), point(2, None)], 1),
        ([point(1, 1), point(2, 2)], None),
        ([point(1, None), point(2, 1)], None),
        ([point(1, 1, carried=0.5), point(2, 1)], None),
    ],
)
def test_the_knee_is_the_last_rate_before_the_latency_rises(
    points: list[CurvePoint], expected: float | None
) -> None:
    assert knee(points) == expected


def test_a_repeat_that_did_not_finish_counts_as_slower_than_all_others() -> None:
    spec = carry_out([first("queue")], {"queue": 20_000})[-1].spec
    one, failed = paced(spec, 1.0), paced(spec, 1.0, outcome="failed")
    (curve,) = rate_curves([one, one, failed])
    assert curve.points[0].p50_ns == pytest.approx(MS, rel=0.001)
    (curve,) = rate_curves([one, failed, failed])
    assert curve.points[0].p50_ns is None


def test_a_backend_without_a_finished_stream_has_no_rates() -> None:
    course = Sweeps([first("queue")], "poisson")
    for _ in range(3):
        spec = course.next()
        assert spec is not None
        course.tell(stream(spec, 0.0, outcome="failed"), 1.0)
    assert course.next() is None


def test_a_backend_that_is_skipped_has_no_further_trials() -> None:
    course = Sweeps([first("queue"), first("simple-queue")], "poisson")
    assert course.next() is not None
    course.skip()
    assert {spec.backend.name for spec in course.coming() if spec.rate_per_s is None} == {"simple-queue"}
