"""Who was the limit: each rule on a trial that shows it."""

from __future__ import annotations

import numpy as np
import pytest

from ipclab.trial.distribution import summarize
from ipclab.trial.limit import behind_schedule, find_limit
from ipclab.trial.record import Latency, Limit


def told(
    running: dict[str, float],
    queued: dict[str, float] | None = None,
    broker: float | None = None,
    *,
    broker_queued: float | None = None,
    stalled: float = 0.0,
    paced: bool = False,
    cores: int = 8,
) -> Limit:
    return find_limit(
        running,
        queued or {},
        broker,
        broker_queued=broker_queued,
        stalled=stalled,
        paced=paced,
        cores=cores,
    )


@pytest.mark.parametrize(
    ("running", "broker", "party"),
    [
        ({"producer-0": 0.97, "consumer-0": 0.60}, None, "producer"),
        ({"producer-0": 0.60, "consumer-0": 0.97}, None, "consumer"),
        ({"pinger-0": 0.97, "echoer-0": 0.40}, None, "producer"),
        ({"pinger-0": 0.40, "echoer-0": 0.97}, None, "consumer"),
        ({"adder-0": 0.97, "adder-1": 0.90}, None, "producer"),
        ({"adder-0": 0.40, "owner-0": 0.97}, None, "owner"),
        ({"producer-0": 0.60, "consumer-0": 0.40}, 0.97, "broker"),
    ],
)
def test_the_busiest_party_is_the_limit(running: dict[str, float], broker: float | None, party: str) -> None:
    assert told(running, broker=broker) == party


def test_a_broker_of_several_threads_may_use_more_than_one_processor() -> None:
    assert told({"producer-0": 0.9, "consumer-0": 0.5}, broker=2.5) == "broker"


def test_a_busy_worker_beside_a_less_busy_broker_is_the_limit() -> None:
    assert told({"producer-0": 0.97, "consumer-0": 0.5}, broker=0.9) == "producer"


def test_nobody_busy_means_that_all_wait_for_each_other() -> None:
    assert told({"pinger-0": 0.4, "echoer-0": 0.4}, broker=0.3) == "waiting"


def test_producers_that_waited_for_room_tell_of_slow_consumers_though_nobody_is_busy() -> None:
    assert told({"producer-0": 0.4, "consumer-0": 0.5}, stalled=0.5) == "consumer"


def test_a_producer_that_hardly_waited_for_room_tells_nothing() -> None:
    assert told({"producer-0": 0.4, "consumer-0": 0.5}, stalled=0.1) == "waiting"


def test_a_machine_filled_by_more_than_fits_is_the_limit() -> None:
    running = {"producer-0": 0.65, "consumer-0": 0.65}
    assert told(running, broker=0.65, cores=2) == "cores"


def test_a_machine_that_is_filled_by_as_many_as_fit_is_not_the_limit() -> None:
    assert told({"producer-0": 0.99, "consumer-0": 0.95}, cores=2) == "producer"


def test_idle_workers_do_not_count_as_wanting_a_processor() -> None:
    assert told({"producer-0": 0.99, "consumer-0": 0.95, "owner-0": 0.01}, cores=2) == "producer"


def test_a_busiest_process_that_waits_for_a_processor_is_short_of_the_machine_not_slow() -> None:
    running, queued = {"producer-0": 0.5, "consumer-0": 0.3}, {"producer-0": 0.45}
    assert told(running, queued) == "cores"


def test_a_little_waiting_for_a_processor_leaves_the_party_the_limit() -> None:
    running, queued = {"producer-0": 0.85, "consumer-0": 0.3}, {"producer-0": 0.1}
    assert told(running, queued) == "producer"


def test_a_paced_trial_is_bound_by_its_pacing_whoever_spins() -> None:
    assert told({"producer-0": 0.99, "consumer-0": 0.1}, broker=0.9, paced=True) == "pacing"


@pytest.mark.parametrize(
    ("sent", "late", "skipped", "behind"),
    [(1000, 0, 0, False), (1000, 200, 0, False), (1000, 300, 0, True), (600, 0, 400, True), (0, 0, 5, True)],
)
def test_a_paced_trial_that_fell_far_behind_was_not_bound_by_its_pacing(
    sent: int, late: int, skipped: int, behind: bool
) -> None:
    send = summarize(np.full(sent, 1000))
    assert behind_schedule(Latency(send=send, late_sends=late, skipped_sends=skipped)) is behind


def test_without_a_reading_nothing_is_claimed() -> None:
    assert told({}) == "unknown"
    assert told({}, broker=0.99) == "unknown"


@pytest.mark.parametrize(
    ("running", "queued", "party"), [(0.82, 0.16, "broker"), (0.5, 0.45, "cores"), (0.5, 0.1, "waiting")]
)
def test_a_server_that_always_wants_to_run_is_the_limit_though_it_is_kept_waiting(
    running: float, queued: float, party: str
) -> None:
    workers = {"producer-0": 0.4, "consumer-0": 0.4}
    assert told(workers, broker=running, broker_queued=queued) == party


def test_a_worker_that_wants_to_run_more_than_the_server_is_the_limit() -> None:
    assert told({"producer-0": 0.97}, broker=0.8, broker_queued=0.1) == "producer"


@pytest.mark.parametrize("paced", [False, True])
def test_consumers_that_spend_their_time_in_work_are_the_limit_though_they_sleep_in_it(paced: bool) -> None:
    def limit(working: float) -> Limit:
        return find_limit({"consumer-0": 0.05}, {}, None, stalled=0.0, paced=paced, cores=8, working=working)

    assert limit(0.9) == "consumer"
    assert limit(0.5) == ("pacing" if paced else "waiting")
