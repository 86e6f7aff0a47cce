"""What a record keeps of a trial whose clocks are not known well enough."""

from __future__ import annotations

import msgspec
import numpy as np

from ipclab.hosts import far_end
from ipclab.hosts.host import Facts
from ipclab.trial.distribution import summarize
from ipclab.trial.machines.facts import all_cores, most_within, without_one_way
from ipclab.trial.record import Latency, Worked
from tests.support.records import Make

FOUND = summarize(np.arange(1, 100, dtype=np.int64))


def test_no_difference_of_two_clocks_is_left_and_all_of_one_clock_are(make: Make) -> None:
    every = Latency(**{name: FOUND for name in Latency.__struct_fields__ if not name.endswith("_sends")})
    counts = {"finished": 1, "again": 0, "failed": 0, "returned": 0, "unfinished": 0}
    work = Worked(utilisation=0.5, receipt=FOUND, handling=FOUND, **counts)
    kept = without_one_way(make.paced("redis-stream", [1], latency=every, work=work))
    left = {name for name in Latency.__struct_fields__ if getattr(kept.latency, name) == FOUND}
    assert left == {"send", "confirm", "round_trip", "update", "same_machine"}
    assert kept.work is not None
    assert (kept.work.receipt, kept.work.handling) == (None, FOUND)


def test_the_overshoot_is_what_others_sent_within_the_age_of_their_progress() -> None:
    times = np.array([0, 10, 11, 12, 50], np.int64)
    assert [most_within(times, span) for span in (0, 2, 12, 100)] == [1, 3, 4, 5]
    assert most_within(np.empty(0, np.int64), 5) == 0


def test_two_interpreters_of_one_system_share_its_processors() -> None:
    here = msgspec.convert(far_end.facts() | {"cores": 4, "clock": "one time:1"}, type=Facts)
    same = msgspec.structs.replace(here, clock="one time:2")
    other = msgspec.structs.replace(here, clock="two time:1", cores=8)
    assert all_cores([here, same]) == 4
    assert all_cores([here, same, other]) == 12
