"""The plan of the experiment about jobs, and the options that it shares: work and prefetch."""

from __future__ import annotations

import pytest

from ipclab import experiment
from ipclab.backends.registry import Variant
from ipclab.errors import UsageError
from ipclab.experiment import Request


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


def test_work_is_asked_for_only_where_consumers_work() -> None:
    with pytest.raises(UsageError, match="leave out --work, or use the experiment latency"):
        experiment.load("round_trip").plan(request(work="5ms"))
    plan = experiment.load("latency").plan(request("queue", work="cpu:5ms", work_fail_share=0.01, repeats=1))
    assert {(spec.work, spec.work_fail_share) for spec in plan.trials} == {("cpu:5ms", 0.01)}
