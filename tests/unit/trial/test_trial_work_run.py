"""Whole trials whose consumers work: what their records say of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from ipclab.backends import registry
from ipclab.backends.base import Channel, Consumer, Guarantees, Producer
from ipclab.backends.local.queue import SimpleQueueChannel
from ipclab.backends.registry import Variant
from ipclab.results.rows.build import rows
from ipclab.trial.record import TrialRecord, Worked
from ipclab.trial.runner import run_trial
from ipclab.trial.spec import TrialSpec

WORK_NS = 2_000_000


class PutsBack(Consumer):
    """Puts a rejected message back into the queue, behind all others."""

    acknowledges = True
    rejects = True

    def __init__(self, consumer: Consumer, back: Producer) -> None:
        self._consumer, self._back = consumer, back
        self._held: Sequence[bytes] = ()

    def receive(self) -> Sequence[bytes]:
        self._held = self._consumer.receive()
        return self._held

    def ack(self) -> None:
        self._held = ()

    def reject(self) -> None:
        for body in self._held:
            self._back.send(body)


class PuttingBackChannel(SimpleQueueChannel):
    name = "putting-back"

    @property
    def guarantees(self) -> Guarantees:
        return Guarantees(
            delivery="at-least-once",
            may_lose=frozenset({"consumer crash"}),
            order="none",
            durability="none",
            confirm="written",
            reach="process tree",
        )

    def consumer(self, index: int) -> Consumer:
        return PutsBack(super().consumer(index), super().producer(index))


@pytest.fixture(autouse=True)
def _known(monkeypatch: pytest.MonkeyPatch) -> None:
    every: dict[str, str | type[Channel]] = {**registry._channels(), "putting-back": PuttingBackChannel}
    monkeypatch.setattr(registry, "_channels", lambda: every)


def run(backend: str, **settings: Any) -> tuple[TrialRecord, Worked]:
    spec = TrialSpec(
        **{
            "workload": "paced",
            "backend": Variant(backend),
            "rate_per_s": 200.0,
            "consumers": 2,
            "size_bytes": 256,
            "work": "2ms",
            "warmup_s": 0.0,
            "duration_s": 0.3,
            "drain_s": 0.2,
            "grace_s": 10.0,
            # With this seed, the first job of each consumer fails where any does.
            "seed": 46,
            **settings,
        }
    )
    record = run_trial(spec, namespace="ipclab:unit:0")
    assert record.outcome == "finished", record.reason
    assert record.work is not None
    return record, record.work


def test_the_latency_of_a_job_reaches_to_the_end_of_its_work() -> None:
    record, worked = run("simple-queue")
    found = record.latency
    assert found.end_to_end
    assert found.service
    assert worked.receipt
    assert worked.handling
    assert record.ledger
    assert found.end_to_end.min_ns >= WORK_NS
    assert found.service.min_ns >= WORK_NS
    assert worked.handling.min_ns >= WORK_NS
    assert worked.receipt.min_ns < found.end_to_end.min_ns
    assert (record.ledger.verdict, worked.failed, worked.unfinished) == ("valid", 0, 0)
    assert worked.finished == record.ledger.confirmed > 0
    # Each consumer may have been at one work when the window ended; all others lie within it.
    least = (worked.handling.count - 2) * WORK_NS / (2 * 0.3e9)
    assert least <= worked.utilisation <= 1


@pytest.mark.slow
def test_a_trial_without_work_says_nothing_of_it_and_reaches_to_the_receipt() -> None:
    spec = TrialSpec(
        workload="paced", backend=Variant("simple-queue"), rate_per_s=200.0, duration_s=0.1, warmup_s=0.0
    )
    record = run_trial(spec, namespace="ipclab:unit:0")
    assert record.work is None
    (row,) = rows([record])
    assert (row.work, row.utilisation, row.jobs) == ("", None, None)


@pytest.mark.slow
def test_a_job_whose_handler_raises_is_done_again_where_its_message_can_be_returned() -> None:
    record, worked = run("putting-back", work_fail_share=0.3)
    assert worked.failed == worked.returned > 0
    assert worked.unfinished == 0
    assert record.ledger is not None
    assert (record.ledger.verdict, record.ledger.lost) == ("valid", 0)
    assert record.ledger.duplicated == worked.returned


@pytest.mark.slow
def test_a_job_whose_handler_raises_stays_undone_where_no_message_can_be_returned() -> None:
    record, worked = run("simple-queue", work_fail_share=0.3)
    assert worked.failed == worked.unfinished > 0
    assert worked.returned == 0
    assert record.ledger is not None
    assert record.ledger.lost == 0
    (row,) = rows([record])
    assert row.jobs is not None
    assert row.jobs.unfinished == worked.unfinished
    # A job that was never done is slower than every other one, so nothing is known of the slowest.
    assert row.end_to_end is not None
    assert row.end_to_end.max_ns is None


@pytest.mark.slow
def test_a_stream_with_work_counts_jobs() -> None:
    record, worked = run("simple-queue", workload="stream", rate_per_s=None, max_backlog=20)
    assert record.latency.end_to_end is None
    assert record.rate_per_s is not None
    assert record.rate_per_s <= 2 * (0.3e9 / WORK_NS + 1) / 0.3
    assert worked.finished > 0


@pytest.mark.slow
def test_a_killed_consumer_takes_its_job_with_it_where_nothing_is_acknowledged() -> None:
    from tests.support.crashes import play, safety_of

    found = safety_of(play("simple-queue", "kill consumer, working", work="2ms", drain_s=0.2))
    assert found.counts["unfinished"] == 1
    assert found.counts["lost"] == 0
