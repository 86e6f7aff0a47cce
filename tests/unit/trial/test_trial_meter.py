"""The readings of the CPU clocks: who is read when, with a broker that is slow to answer."""

from __future__ import annotations

import os
import time

from ipclab.brokers.base import Usage
from ipclab.brokers.url import UrlBroker
from ipclab.host.clock import now_ns
from ipclab.trial.meter import Meter

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
