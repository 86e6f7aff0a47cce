"""The readings of the CPU clocks: who is read when, with a broker that is slow to answer."""

from __future__ import annotations

import os
import time

import pytest

from ipclab.brokers.base import Usage
from ipclab.brokers.url import UrlBroker
from ipclab.host.clock import now_ns
from ipclab.trial.meter import Meter, Sample, served

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
