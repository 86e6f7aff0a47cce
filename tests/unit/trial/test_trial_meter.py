"""The readings of the CPU clocks: who is read when, with a broker that is slow to answer."""

from __future__ import annotations

import os
import time

import pytest

from ipclab.brokers.base import Usage
from ipclab.brokers.url import UrlBroker
from ipclab.host.clock import now_ns
from ipclab.host.resources import machine_cpu_s
from ipclab.trial.meter import Meter, Sample, others_cores, served

ANSWER_S = 0.03


class SlowBroker(UrlBroker):
    """A broker that takes its time to say what it used."""

    def __init__(self) -> None:
        pass

    def usage(self) -> Usage | None:
        time.sleep(ANSWER_S)
        return Usage(1.0, 2)


def meter() -> Meter:
    return Meter({"producer-0": os.getpid()}, (), SlowBroker())


def test_a_slow_broker_is_read_first_and_the_workers_not_before_their_moment() -> None:
    found = meter()
    moment_ns = now_ns() + found.lead_ns
    sample = found.sample(moment_ns)
    assert found.lead_ns >= ANSWER_S * 1e9
    assert sample.broker_at_ns < sample.at_ns
    assert sample.at_ns >= moment_ns
    assert sample.workers_cpu_s["producer-0"]
    assert (sample.broker_cpu_s, sample.broker_rss_bytes) == (1.0, 2)


def test_a_broker_that_cannot_answer_in_time_is_not_waited_for() -> None:
    found = meter()
    moment_ns = now_ns() - 1_000_000_000
    sample = found.sample(moment_ns)
    assert (sample.broker_cpu_s, sample.broker_rss_bytes) == (None, None)
    assert sample.workers_cpu_s["producer-0"]


def sample(at_s: float, broker: Usage | None, others: dict[int, Usage]) -> Sample:
    at_ns = int(at_s * 1e9)
    return Sample(at_ns, {}, {}, at_ns, broker, others)


def test_a_helper_that_nobody_named_counts_where_it_is_at_work() -> None:
    first = sample(1.0, None, {7: Usage(1.0, 5, 0.5), 8: Usage(2.0, 5, 0.0)})
    last = sample(2.0, None, {7: Usage(1.6, 5, 0.75), 8: Usage(2.001, 5, 0.0), 9: Usage(9.0, 5, 0.0)})
    found = served(first, last, named=False)
    assert (found.cpu_s, found.queued_s, found.helpers) == (pytest.approx(0.6), pytest.approx(0.25), 1)


def test_where_all_helpers_wait_there_is_no_broker() -> None:
    first, last = sample(1.0, None, {7: Usage(1.0, 5, 0.5)}), sample(2.0, None, {7: Usage(1.001, 5, 0.5)})
    assert served(first, last, named=False).cpu_s is None


def test_helpers_that_nobody_named_add_to_the_broker_and_do_not_stand_in_for_it() -> None:
    first = sample(1.0, Usage(1.0, 5, 0.0), {7: Usage(1.0, 5, 0.0)})
    both = sample(2.0, Usage(1.5, 5, 0.25), {7: Usage(1.25, 5, 0.5)})
    assert served(first, both, named=True).cpu_s == pytest.approx(0.75)
    assert served(first, both, named=True).queued_s == pytest.approx(0.75)
    unread = sample(2.0, None, {7: Usage(1.25, 5, 0.5)})
    assert served(first, unread, named=True).cpu_s is None


def read_at(at_s: float, worker: float | None, machine: float | None, own: float = 0.0) -> Sample:
    at_ns = int(at_s * 1e9)
    return Sample(at_ns, {"producer-0": worker}, {}, at_ns, None, {}, machine, own)


def test_what_nobody_of_the_trial_used_was_used_by_others() -> None:
    first, last = read_at(1.0, 5.0, 100.0, own=1.0), read_at(3.0, 6.0, 104.0, own=1.2)
    assert others_cores(first, last, 0.25) == pytest.approx((4.0 - 1.0 - 0.2) / 2 - 0.25)


def test_clocks_that_do_not_agree_never_give_less_than_nothing() -> None:
    assert others_cores(read_at(1.0, 5.0, 100.0), read_at(2.0, 6.0, 100.9), 0.0) == 0.0


@pytest.mark.parametrize(
    ("worker", "machine", "broker"), [(None, 101.0, 0.0), (6.0, None, 0.0), (6.0, 101.0, None)]
)
def test_where_a_part_is_not_known_the_rest_is_not_either(
    worker: float | None, machine: float | None, broker: float | None
) -> None:
    assert others_cores(read_at(1.0, 5.0, 100.0), read_at(2.0, worker, machine), broker) is None


def test_the_machine_has_used_more_after_somebody_has_worked() -> None:
    before = machine_cpu_s()
    began = time.process_time()
    while time.process_time() - began < 0.2:
        pass
    after = machine_cpu_s()
    assert before is not None
    assert after is not None
    # A hundredth of a second is the smallest step, on each processor.
    assert after - before > 0.1
