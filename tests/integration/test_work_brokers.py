"""Consumers with work on real servers: what becomes of a job whose handler raises or whose worker dies."""

from __future__ import annotations

import pytest

from ipclab.backends.registry import Variant
from ipclab.brokers import Broker
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec
from tests.support.crashes import play, safety_of

pytestmark = [pytest.mark.timeout(90, method="signal"), pytest.mark.usefixtures("nothing_left")]


@pytest.fixture
def broker(backend: str, request: pytest.FixtureRequest) -> Broker:
    """The server of the backend."""
    found: Broker = request.getfixturevalue(
        "rabbitmq_broker" if backend.startswith("rabbitmq") else "redis_broker"
    )
    return found


@pytest.mark.parametrize("backend", ["rabbitmq", "redis-list-reliable", "redis-stream:min_idle_ms=100"])
def test_a_job_whose_handler_raises_is_delivered_again_and_done(backend: str, broker: Broker) -> None:
    spec = TrialSpec(
        workload="paced",
        backend=Variant.parse(backend),
        rate_per_s=100.0,
        consumers=2,
        work="1ms",
        work_fail_share=0.2,
        warmup_s=0.0,
        duration_s=0.3,
        drain_s=0.3,
        # With this seed, the first job of each consumer fails.
        seed=46,
    )
    record = run_trial(spec, namespace="ipclab:work-test:0", broker=broker)

    assert record.outcome == "finished", record.reason
    assert record.work is not None
    assert record.ledger is not None
    assert record.work.failed == record.work.returned > 0
    assert record.work.unfinished == 0
    assert (record.ledger.verdict, record.ledger.lost) == ("valid", 0)
    assert record.ledger.duplicated >= record.work.returned


@pytest.mark.parametrize(
    ("backend", "lost"), [("rabbitmq:prefetch=1", 0), ("redis-stream:min_idle_ms=200", 0), ("redis-list", 1)]
)
def test_the_job_of_a_killed_worker_is_done_by_another_where_it_is_acknowledged_after_the_work(
    backend: str, lost: int, broker: Broker
) -> None:
    found = safety_of(play(backend, "kill consumer, working", broker, work="2ms", drain_s=0.3))

    assert (found.verdict, found.counts["unfinished"]) == ("valid", lost)
    assert (found.counts["duplicated"] > 0) == (not lost)
