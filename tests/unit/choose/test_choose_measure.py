"""Which runs would close the gaps of a decision, and that they take no longer than is allowed."""

from __future__ import annotations

from ipclab.choose import candidates, measure
from ipclab.choose.decide import Decision, conclude
from ipclab.choose.evidence import Evidence
from ipclab.choose.needs import Needs
from ipclab.experiment import Request

NEEDS = Needs(
    may=frozenset({"repeat", "reorder"}),
    survive=frozenset({"consumer"}),
    rate_per_s=300,
    size_bytes=20_480,
    consumers=3,
    p99_ns=50_000_000,
)


def decision(needs: Needs = NEEDS, absent: frozenset[str] = frozenset()) -> Decision:
    return conclude(needs, candidates.of(Request().channels()), Evidence(), absent)


def test_the_load_is_measured_first_then_the_deaths_each_by_a_command() -> None:
    first, second = measure.steps(decision())
    assert first.command.startswith("ipclab run latency --backend redis-list-reliable --backend redis-stream")
    assert first.command.endswith(
        "--rate 300 --size 20480 --producers 1 --consumers 3 --duration 1.8 --warmup 0.3 --repeats 2"
    )
    assert second.command.startswith("ipclab run crash --backend ")
    assert second.command.endswith("--fault kill --target consumer")


def test_all_of_it_takes_no_longer_than_two_minutes() -> None:
    for survive in ({"consumer"}, {"consumer", "producer", "broker"}):
        needs = Needs(
            may=NEEDS.may,
            survive=frozenset(survive),
            rate_per_s=2,
            size_bytes=64,  # type: ignore[arg-type]
        )
        steps = measure.steps(decision(needs))
        assert 0 < sum(step.seconds for step in steps) <= measure.WITHIN_S


def test_what_is_left_when_time_is_short_is_not_measured() -> None:
    assert measure.steps(decision(), 1.0) == []


def test_the_plan_of_each_step_has_exactly_what_is_missing() -> None:
    from ipclab.experiment import load

    first, second = measure.steps(decision())
    specs = load(first.experiment).plan(first.request).trials
    assert {(s.workload, s.rate_per_s, s.size_bytes, s.producers, s.consumers) for s in specs} == {
        ("paced", 300, 20_480, 1, 3)
    }
    faults = [s.fault for s in load(second.experiment).plan(second.request).trials]
    assert {(fault.action, fault.target) for fault in faults if fault} == {("kill", "consumer")}


def test_a_backend_whose_server_is_not_here_is_not_measured() -> None:
    steps = measure.steps(decision(absent=frozenset({"redis"})))
    assert all("redis" not in step.command for step in steps)
    assert any("rabbitmq" in step.command for step in steps)


def test_what_was_done_is_not_done_again() -> None:
    (only,) = measure.steps(decision(), measure.WITHIN_S, frozenset({("latency", None)}))
    assert (only.experiment, only.target) == ("crash", "consumer")
    assert (
        measure.steps(decision(), measure.WITHIN_S, frozenset({("latency", None), ("crash", "consumer")}))
        == []
    )


def test_nothing_is_measured_where_nothing_is_open() -> None:
    assert measure.steps(decision(Needs())) == []
