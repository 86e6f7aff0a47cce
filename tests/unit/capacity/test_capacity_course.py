"""The course of a capacity run: the machine first, then the backends in turns; and what its rows say."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import numpy as np
import pytest

from ipclab.capacity.course import Searches
from ipclab.exit_codes import ExitCode
from ipclab.report.capacity_table import capacity, capacity_part
from ipclab.results.capacity import Capacity, capacities
from ipclab.results.verdict import exit_code
from ipclab.trial.distribution import summarize
from ipclab.trial.record import Latency, TrialRecord
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Slo, Study
from tests.support.records import Make

P99 = Slo.parse("p99=10ms")
MAKE = Make()
Carries = Callable[[TrialSpec], bool]


def record(spec: TrialSpec, *, holds: bool, peak_per_s: float, others: float | None = 0.0) -> TrialRecord:
    """What a trial would leave behind: a stream at its peak, or a paced trial that holds or does not."""
    cost = msgspec.structs.replace(MAKE.cost(), others_cores=others)
    if spec.workload == "stream":
        return msgspec.structs.replace(MAKE.stream("queue", peak_per_s), spec=spec, cost=cost)
    ns = 1_000_000 if holds else 50_000_000
    latency = Latency(
        end_to_end=summarize(np.full(2000, ns, np.int64)), send=summarize(np.full(2000, 9, np.int64))
    )
    made = MAKE.paced("queue", [1], rate=2000.0, latency=latency, cost=cost)
    return msgspec.structs.replace(made, spec=spec, limit="pacing" if holds else "consumer")


def first(backend: str, *, repeat: int = 0, **fields: Any) -> TrialSpec:
    study = Study(kind="capacity", part="peak", slo=P99)
    return MAKE.spec("stream", backend, repeat=repeat, study=study, duration_s=0.3, **fields)


def carry_out(
    firsts: list[TrialSpec],
    capacity_per_s: dict[str, float],
    *,
    others: float | None = 0.0,
    machine_holds: bool = True,
    arrivals: str = "poisson",
) -> list[TrialRecord]:
    """Run the course on backends of these capacities."""
    course, done = Searches(firsts, P99, arrivals), []
    while (spec := course.next()) is not None:
        assert spec == course.next()
        assert spec.study is not None
        assert course.coming()
        if spec.study.part == "machine":
            holds = machine_holds
        else:
            holds = (spec.rate_per_s or 0) <= capacity_per_s[spec.backend.name]
        peak = 1.2 * capacity_per_s.get(spec.backend.name, 0.0)
        done.append(record(spec, holds=holds, peak_per_s=peak, others=others))
        course.tell(done[-1], 1.0)
        assert len(done) < 500
    assert not course.coming()
    return done


def row(trials: list[TrialRecord]) -> Capacity:
    (found,) = capacities(trials)
    return found


def test_the_stored_trials_alone_make_the_same_bracket() -> None:
    found = row(carry_out([first("queue")], {"queue": 20_000}))
    assert found.low_per_s is not None
    assert found.high_per_s is not None
    assert found.low_per_s <= 20_000 <= found.high_per_s
    assert found.high_per_s == pytest.approx(found.low_per_s * 2**0.25)
    assert (found.verdict, found.limit, found.missing, found.void) == ("kept", "consumer", "", 0)
    assert capacity(found) == "17.2–20.5 k/s"
    assert found.end_to_end is not None
    assert found.end_to_end.count == 4000


def test_trials_of_an_interrupted_run_say_as_much_as_they_show() -> None:
    trials = carry_out([first("queue")], {"queue": 20_000})
    held = [t for t in trials if t.spec.rate_per_s and t.limit == "pacing" and t.spec.backend.name == "queue"]
    found = row(trials[: trials.index(held[0]) + 1])
    assert found.low_per_s == pytest.approx(held[0].spec.rate_per_s)
    assert found.high_per_s is None
    assert capacity(found).endswith("; above: unknown (out of time)")


def test_backends_take_turns() -> None:
    trials = carry_out([first("queue"), first("simple-queue")], {"queue": 20_000, "simple-queue": 20_000})
    names = [t.spec.backend.name for t in trials]
    assert names[:5] == ["pipe", "queue", "simple-queue", "queue", "simple-queue"]


def test_no_two_trials_of_a_search_have_the_same_schedule() -> None:
    trials = carry_out([first("queue")], {"queue": 20_000})
    seeds = [t.spec.seed for t in trials[1:]]
    assert len(set(seeds)) == len(seeds)


def test_a_machine_that_does_not_keep_the_limit_alone_ends_the_run() -> None:
    trials = carry_out([first("queue")], {"queue": 20_000}, machine_holds=False)
    assert [t.spec.study.part for t in trials if t.spec.study] == ["machine", "machine"]
    part = capacity_part(trials)
    assert part.closing.startswith("This machine alone stalls 50 ms: p99=10ms cannot be told here.")
    assert exit_code(MAKE.result(trials)) == ExitCode.UNKNOWN


def test_where_all_failures_are_beside_other_programs_only_a_lower_end_is_known() -> None:
    trials = carry_out([first("queue")], {"queue": 20_000}, others=1.5)
    found = row(trials)
    assert capacity(found) == "≥ 17.2 k/s; above: unknown (others used 1.5 of 2 cores)"
    assert found.void > 0
    assert found.rank is None
    assert exit_code(MAKE.result(trials, options={"backends": "queue"})) == ExitCode.SUCCESS


def test_where_it_is_not_known_what_others_used_a_failure_proves_nothing() -> None:
    found = row(carry_out([first("queue")], {"queue": 20_000}, others=None))
    assert capacity(found) == "≥ 17.2 k/s; above: unknown (what others used is not known)"


def test_a_named_backend_that_stays_unknown_is_exit_code_3_and_another_is_not() -> None:
    trials = carry_out([first("queue")], {"queue": 1.0}, others=1.5)
    # Nothing holds, and every failure is void.
    assert capacity(row(trials)) == "unknown (others used 1.5 of 2 cores)"
    assert row(trials).verdict == "unknown"
    assert exit_code(MAKE.result(trials, options={"backends": "queue"})) == ExitCode.UNKNOWN
    assert exit_code(MAKE.result(trials)) == ExitCode.SUCCESS


def test_a_backend_below_the_lowest_rate_is_known_to_be_so() -> None:
    found = row(carry_out([first("queue")], {"queue": 1.0}))
    assert capacity(found) == "< 40 /s"
    assert found.verdict == "kept"


def test_only_brackets_with_both_ends_are_ranked_and_only_where_they_are_apart() -> None:
    capacity_per_s = {"queue": 20_000.0, "simple-queue": 20_100.0, "joinable-queue": 3_000.0}
    trials = carry_out([first(name) for name in capacity_per_s], capacity_per_s)
    # The manager's queue has only a lower end, and a higher one than all others.
    half = carry_out([first("manager-queue")], {"manager-queue": 90_000}, others=1.5)
    found = {one.name: one for one in capacities([*trials, *half])}
    assert {name: one.rank for name, one in found.items()} == {
        "queue": "1",
        "simple-queue": "1",
        "joinable-queue": "3",
        "manager-queue": None,
    }


def test_the_row_of_several_repeats_has_the_widest_bracket() -> None:
    trials = carry_out([first("queue"), first("queue", repeat=1)], {"queue": 20_000})
    found = row(trials)
    assert len(found.brackets) == 2
    assert capacity(found) == "17.2–20.5 k/s"


def test_the_trials_of_a_search_have_the_arrivals_and_the_window_that_were_asked_for() -> None:
    trials = carry_out([first("queue", window=1)], {"queue": 20_000}, arrivals="burst:10")
    paced = [t.spec for t in trials if t.spec.study and t.spec.study.part == "rate"]
    assert {spec.arrivals for spec in paced} == {"burst:10"}


def test_a_skipped_backend_is_asked_for_no_more() -> None:
    course = Searches([first("queue"), first("simple-queue")], P99, "poisson")
    spec = course.next()
    assert spec is not None
    course.tell(record(spec, holds=True, peak_per_s=0), 1.0)
    spec = course.next()
    assert spec is not None
    assert spec.backend.name == "queue"
    course.skip()
    spec = course.next()
    assert spec is not None
    assert {one.backend.name for one in course.coming()} == {"simple-queue"}
