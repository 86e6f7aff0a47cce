"""The plan of the experiment about jobs, and the options that it shares: work and prefetch."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from ipclab import experiment
from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.experiment import Request
from ipclab.trial.record import Worked
from ipclab.trial.spec import TrialSpec
from ipclab.trial.study import Slo
from tests.support import safety
from tests.support.records import Make


def request(*backends: str, **settings: object) -> Request:
    return Request(backends=tuple(Variant.parse(b) for b in backends), **settings)  # type: ignore[arg-type]


def test_a_prefetch_is_an_option_of_each_backend_that_has_one() -> None:
    latency = experiment.load("latency")
    plan = latency.plan(request("rabbitmq", "rabbitmq-quorum:confirm=none", prefetch=7, repeats=1))
    assert {str(spec.backend) for spec in plan.trials} == {
        "rabbitmq:prefetch=7",
        "rabbitmq-quorum:confirm=none,prefetch=7",
    }
    every = {str(spec.backend) for spec in latency.plan(request(prefetch=7, repeats=1)).trials}
    assert "rabbitmq-quorum:prefetch=7" in every
    assert {"queue", "rabbitmq:ack=auto,confirm=none,delivery=transient"} <= every


@pytest.mark.parametrize(
    ("name", "backend", "says"),
    [
        ("latency", "queue", "queue has no prefetch: leave out --prefetch"),
        ("latency", "rabbitmq:prefetch=3", "names its prefetch already"),
        ("latency", "rabbitmq:ack=auto", "acknowledges nothing"),
        ("race", "value", "value has no prefetch"),
    ],
)
def test_a_prefetch_that_a_backend_does_not_have_is_refused(name: str, backend: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        experiment.load(name).plan(request(backend, prefetch=7))


def test_a_prefetch_that_no_trial_has_is_refused() -> None:
    with pytest.raises(UsageError, match="no backend of race has a prefetch"):
        experiment.load("race").plan(request(prefetch=7))


def test_the_jobs_experiment_kills_a_worker_of_each_channel_whose_consumers_share_the_jobs() -> None:
    plan = experiment.load("jobs").plan(request())
    loads = [spec for spec in plan.trials if spec.workload == "paced"]
    kills = [spec for spec in plan.trials if spec.workload == "crash"]
    assert {str(spec.backend) for spec in loads} == {str(spec.backend) for spec in kills}
    assert all((spec.consumers, spec.work) == (3, "5ms") for spec in plan.trials)
    assert {str(spec.fault) for spec in kills} == {"kill consumer, working"}
    left_out = dict(plan.left_out)
    assert "hands every message to every consumer" in left_out["redis-pubsub"]
    assert "pipe takes 1 producer" in left_out["pipe"]


def test_a_limit_on_latency_is_an_option_of_jobs() -> None:
    assert experiment.load("jobs").plan(request("queue", slo=Slo.parse("p99=20ms"))).trials
    with pytest.raises(UsageError, match="leave out --slo"):
        experiment.load("latency").plan(request("queue", work="5ms", slo=Slo.parse("p99=20ms")))


def test_another_fault_than_a_killed_worker_is_for_the_experiment_crash() -> None:
    with pytest.raises(UsageError, match="jobs kills a worker: leave out --fault and --target"):
        experiment.load("jobs").plan(request("queue", faults=("pause",)))


def test_work_is_asked_for_only_where_consumers_work() -> None:
    with pytest.raises(UsageError, match="leave out --work, or use the experiment jobs"):
        experiment.load("round_trip").plan(request(work="5ms"))
    plan = experiment.load("latency").plan(request("queue", work="cpu:5ms", work_fail_share=0.01, repeats=1))
    assert {(spec.work, spec.work_fail_share) for spec in plan.trials} == {("cpu:5ms", 0.01)}


def play(make: Make, *, took_s: float = 5.0, lost: int = 0, **settings: Any) -> list[TrialSpec]:
    """The trials of a run whose loads are too slow, on a machine that others use."""
    plan = experiment.load("jobs").plan(request("rabbitmq", "queue", **settings))
    course, run = plan.course(plan.trials), []
    slow = range(1_000_000, 1_000_000 + 3000 * 25_000, 25_000)
    busy = msgspec.structs.replace(make.cost(), others_cores=1.0)
    while (spec := course.next()) is not None:
        run.append(spec)
        if spec.workload == "paced":
            record = make.paced(
                "queue", slow, rate=3000.0, cost=busy, work=Worked(utilisation=0.5, finished=1)
            )
        else:
            record = safety.crash("queue", "kill consumer, working", counts={"unfinished": lost})
        course.tell(msgspec.structs.replace(record, spec=spec), took_s)
    return run


def test_a_channel_that_was_slow_on_a_busy_machine_gets_a_second_chance(make: Make) -> None:
    again = [str(spec.backend) for spec in play(make) if spec.repeat == 1]
    assert sorted(again) == ["queue", "rabbitmq"]


@pytest.mark.parametrize(
    "settings",
    [{"lost": 1}, {"took_s": 40.0}, {"repeats": 1}],
    ids=["ruled out anyway", "no time left", "the user chose the repeats"],
)
def test_there_is_no_second_chance_where_it_would_not_help(make: Make, settings: dict[str, Any]) -> None:
    assert {spec.repeat for spec in play(make, **settings)} == {0}
